"""Where appointments take place: locations and their rooms."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from availability.announcements import announce_provider
from availability.domain.resources import Kind
from availability.models import Location, Room
from availability.ownership import apply, locked_provider, own
from availability.use_cases.resources import NewResource, keep_units
from shared.ids import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLocation:
    """A provider's first location is their primary one, whatever it says."""

    id: UUID = field(default_factory=new_id)
    name: str
    address: str | None = None
    city: str | None = None
    country: str | None = None
    timezone: str
    latitude: float | None = None
    longitude: float | None = None
    is_primary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRoom:
    """`capacity` appointments fit into it at once; a virtual one is for video."""

    id: UUID = field(default_factory=new_id)
    name: str
    capacity: int = 1
    is_virtual: bool = False


async def add_location(db: AsyncSession, provider_id: UUID, new: NewLocation) -> Location:
    provider = await locked_provider(db, provider_id)
    is_first = not await db.scalar(
        select(exists().where(Location.provider_id == provider_id, Location.is_primary))
    )
    location = Location(**asdict(new) | {"provider_id": provider_id, "is_active": True})
    location.is_primary = is_first or new.is_primary
    if location.is_primary:
        await _demote(db, provider_id)
    db.add(location)
    await announce_provider(db, provider)
    return location


async def change_location(
    db: AsyncSession, provider_id: UUID, location_id: UUID, changes: Mapping[str, Any]
) -> Location:
    """The fields of `NewLocation` and `is_active`, those that are given."""
    provider = await locked_provider(db, provider_id)
    location = await own(db, Location, provider_id, location_id)
    if changes.get("is_primary") and not location.is_primary:
        await _demote(db, provider_id)
    if apply(location, changes):
        await announce_provider(db, provider)
    return location


async def add_room(db: AsyncSession, provider_id: UUID, location_id: UUID, new: NewRoom) -> Room:
    """The room, and as many resources as appointments fit into it."""
    provider = await locked_provider(db, provider_id)
    await own(db, Location, provider_id, location_id)
    values = {"provider_id": provider_id, "location_id": location_id, "is_active": True}
    room = Room(**asdict(new) | values)
    db.add(room)
    await announce_provider(db, provider)
    await _keep_room_units(db, room)
    return room


async def change_room(
    db: AsyncSession, provider_id: UUID, room_id: UUID, changes: Mapping[str, Any]
) -> Room:
    """Of `name`, `capacity` and `is_active` those that are given; the resources follow."""
    provider = await locked_provider(db, provider_id)
    room = await own(db, Room, provider_id, room_id)
    if apply(room, changes):
        await announce_provider(db, provider)
        await _keep_room_units(db, room)
    return room


async def _keep_room_units(db: AsyncSession, room: Room) -> None:
    # A virtual room is nowhere: it serves video appointments of all locations.
    unit = NewResource(
        id=room.id,
        kind=Kind.TELEHEALTH_SLOT if room.is_virtual else Kind.ROOM,
        label=room.name,
        location_id=None if room.is_virtual else room.location_id,
        room_id=room.id,
    )
    await keep_units(db, room.provider_id, unit, room.capacity if room.is_active else 0)


async def _demote(db: AsyncSession, provider_id: UUID) -> None:
    await db.execute(
        update(Location)
        .where(Location.provider_id == provider_id, Location.is_primary)
        .values(is_primary=False)
    )
