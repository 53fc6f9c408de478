"""Where appointments take place: locations, of which one is the primary one, and their rooms."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from availability.announcements import announce_provider
from availability.domain.resources import Kind
from availability.expected import check_location_free, check_units_free
from availability.models import Location, Resource, Room
from availability.ownership import apply, check_room_for, locked_provider, own
from availability.refusals import PrimaryNeeded
from availability.use_cases.resources import NewResource, keep_units, remove_units, rename_units
from availability.use_cases.rules import drop_rules_of
from shared.errors import FieldError, Invalid
from shared.ids import new_id

MOST_LOCATIONS = 100
MOST_ROOMS = 500
"""Of one provider, at all of their locations."""


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
    await check_room_for(db, Location, provider_id, MOST_LOCATIONS)
    location = Location(**asdict(new) | {"provider_id": provider_id, "is_active": True})
    location.is_primary = new.is_primary or not await _has_primary(db, provider_id)
    if location.is_primary:
        await _demote(db, provider_id)
    db.add(location)
    await announce_provider(db, provider)
    return location


async def change_location(
    db: AsyncSession, provider_id: UUID, location_id: UUID, changes: Mapping[str, Any]
) -> Location:
    """The fields of `NewLocation` and `is_active`, those that are given.

    Who stops to be the primary one by going out of use hands that over to the oldest that is left.
    Raises StillClaimed when somebody is expected at a location that would go out of use.
    """
    provider = await locked_provider(db, provider_id)
    location = await own(db, Location, provider_id, location_id)
    values = dict(changes)
    wants_primary = values.pop("is_primary", None)
    stays = values.get("is_active", location.is_active)
    if wants_primary and not stays:
        raise Invalid(
            errors=[FieldError("isPrimary", "NOT_ACTIVE", "It is not in use, so not the primary.")]
        )
    if wants_primary is False and location.is_primary and stays:
        raise PrimaryNeeded("make another location the primary one")
    if location.is_active and not stays:
        await _check_free(db, location)
    is_changed = apply(location, values)
    if not stays and location.is_primary:
        await _hand_over(db, location)
    elif stays and await _becomes_primary(db, location, wants_primary):
        await _demote(db, provider_id)
        location.is_primary = is_changed = True
    if is_changed:
        await announce_provider(db, provider)
    return location


async def remove_location(db: AsyncSession, provider_id: UUID, location_id: UUID) -> None:
    """For good, with its rooms, all units there, and the rules of the form for it and its rooms.

    Services and exceptions that name it stay as they are and are about nothing then. Raises
    StillClaimed while anybody is expected.
    """
    provider = await locked_provider(db, provider_id)
    location = await own(db, Location, provider_id, location_id)
    await _check_free(db, location)
    await remove_units(db, provider_id, await _units(db, location))
    gone = {"is_active": False, "deleted_at": func.now()}
    rooms = await db.scalars(
        update(Room)
        .where(Room.location_id == location_id, Room.deleted_at.is_(None))
        .values(gone)
        .returning(Room.id)
    )
    await drop_rules_of(db, provider_id, location_ids=[location_id], room_ids=rooms.all())
    location.is_active, location.deleted_at = False, func.now()
    if location.is_primary:
        await _hand_over(db, location)
    await announce_provider(db, provider)


async def add_room(db: AsyncSession, provider_id: UUID, location_id: UUID, new: NewRoom) -> Room:
    """The room, and as many resources as appointments fit into it."""
    provider = await locked_provider(db, provider_id)
    await own(db, Location, provider_id, location_id)
    await check_room_for(db, Room, provider_id, MOST_ROOMS)
    values = {"provider_id": provider_id, "location_id": location_id, "is_active": True}
    room = Room(**asdict(new) | values)
    db.add(room)
    await announce_provider(db, provider)
    await _keep_room_units(db, room)
    return room


async def change_room(
    db: AsyncSession, provider_id: UUID, room_id: UUID, changes: Mapping[str, Any]
) -> Room:
    """Of `name`, `capacity` and `is_active` those that are given; the resources follow.

    Raises StillClaimed when a unit would have to go on which somebody is expected.
    """
    provider = await locked_provider(db, provider_id)
    room = await own(db, Room, provider_id, room_id)
    if apply(room, changes):
        await announce_provider(db, provider)
        await _keep_room_units(db, room)
        await rename_units(db, room.id, room.name)
    return room


async def remove_room(db: AsyncSession, provider_id: UUID, room_id: UUID) -> None:
    """For good, with its units and the rules for it; raises StillClaimed while anybody is
    expected there."""
    provider = await locked_provider(db, provider_id)
    room = await own(db, Room, provider_id, room_id)
    units = list(
        await db.scalars(
            select(Resource).where(Resource.room_id == room_id, Resource.deleted_at.is_(None))
        )
    )
    await check_units_free(db, provider_id, [unit.id for unit in units])
    await remove_units(db, provider_id, units)
    await drop_rules_of(db, provider_id, room_ids=[room_id])
    room.is_active, room.deleted_at = False, func.now()
    await announce_provider(db, provider)


async def _check_free(db: AsyncSession, location: Location) -> None:
    units = [unit.id for unit in await _units(db, location)]
    await check_location_free(db, location.provider_id, location.id, units)


async def _units(db: AsyncSession, location: Location) -> list[Resource]:
    """All units there; those of its virtual rooms, too."""
    rooms = select(Room.id).where(Room.location_id == location.id)
    return list(
        await db.scalars(
            select(Resource).where(
                Resource.provider_id == location.provider_id,
                Resource.deleted_at.is_(None),
                or_(Resource.location_id == location.id, Resource.room_id.in_(rooms)),
            )
        )
    )


async def _has_primary(db: AsyncSession, provider_id: UUID) -> bool:
    return bool(
        await db.scalar(
            select(exists().where(Location.provider_id == provider_id, Location.is_primary))
        )
    )


async def _becomes_primary(
    db: AsyncSession, location: Location, wants_primary: bool | None
) -> bool:
    """It is not yet, and it wants to or nobody else is."""
    if location.is_primary:
        return False
    return wants_primary or not await _has_primary(db, location.provider_id)


async def _demote(db: AsyncSession, provider_id: UUID) -> None:
    await db.execute(
        update(Location)
        .where(Location.provider_id == provider_id, Location.is_primary)
        .values(is_primary=False)
    )


async def _hand_over(db: AsyncSession, location: Location) -> None:
    # First one goes, then the other comes: the index allows no moment with two.
    location.is_primary = False
    await db.flush()
    heir = await db.scalar(
        select(Location)
        .where(Location.provider_id == location.provider_id, Location.is_active)
        .order_by(Location.created_at, Location.id)
        .limit(1)
    )
    if heir is not None:
        heir.is_primary = True


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
