"""What appointments take up: staff, rooms, telehealth slots, equipment; each row is one unit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from availability.announcements import announce_resource
from availability.domain.resources import Kind
from availability.models import Location, Resource, Room
from availability.ownership import apply, locked_provider, own
from availability.refusals import NoStaffLeft
from shared.ids import new_id

MOST_UNITS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResource:
    """Equipment is asked for by its label."""

    id: UUID = field(default_factory=new_id)
    kind: Kind
    label: str
    location_id: UUID | None = None
    room_id: UUID | None = None


async def add_resource(db: AsyncSession, provider_id: UUID, new: NewResource) -> Resource:
    await locked_provider(db, provider_id)
    if new.location_id is not None:
        await own(db, Location, provider_id, new.location_id)
    if new.room_id is not None:
        await own(db, Room, provider_id, new.room_id)
    return await _add(db, provider_id, new)


async def change_resource(
    db: AsyncSession, provider_id: UUID, resource_id: UUID, changes: Mapping[str, Any]
) -> Resource:
    """Of `label`, `location_id` and `is_active` those that are given."""
    await locked_provider(db, provider_id)
    resource = await own(db, Resource, provider_id, resource_id)
    if (location_id := changes.get("location_id")) is not None:
        await own(db, Location, provider_id, location_id)
    if apply(resource, changes):
        await announce_resource(db, resource)
        if resource.kind == Kind.STAFF and not await _staff(db, provider_id):
            raise NoStaffLeft("this is the last one")
    return resource


async def set_parallel_sessions(db: AsyncSession, provider_id: UUID, count: int) -> None:
    """So many appointments can the provider have at once: as many staff units are in use."""
    provider = await locked_provider(db, provider_id)
    await keep_staff(db, provider.id, provider.name, count)


async def keep_staff(db: AsyncSession, provider_id: UUID, name: str, count: int) -> None:
    """The units that stand for the provider in person; at least one."""
    unit = NewResource(id=provider_id, kind=Kind.STAFF, label=name)
    await keep_units(db, provider_id, unit, max(count, 1))


async def keep_units(db: AsyncSession, provider_id: UUID, like: NewResource, count: int) -> None:
    """Exactly so many units like this one are in use; their ids follow from its id.

    A unit that is taken out of use comes back as itself. The caller has locked the provider.
    """
    ids = [uuid5(like.id, f"{like.kind.value} {number}") for number in range(1, MOST_UNITS + 1)]
    there = {
        unit.id: unit for unit in await db.scalars(select(Resource).where(Resource.id.in_(ids)))
    }
    for number, id_ in enumerate(ids, start=1):
        unit = there.get(id_)
        if unit is not None:
            wanted = {
                "label": like.label,
                "location_id": like.location_id,
                "is_active": number <= count,
            }
            if apply(unit, wanted):
                await announce_resource(db, unit)
        elif number <= count:
            await _add(
                db,
                provider_id,
                NewResource(
                    id=id_,
                    kind=like.kind,
                    label=like.label,
                    location_id=like.location_id,
                    room_id=like.room_id,
                ),
            )


async def _add(db: AsyncSession, provider_id: UUID, new: NewResource) -> Resource:
    resource = Resource(
        id=new.id,
        version=0,
        provider_id=provider_id,
        kind=new.kind.value,
        label=new.label,
        location_id=new.location_id,
        room_id=new.room_id,
        is_active=True,
    )
    db.add(resource)
    await announce_resource(db, resource)
    return resource


async def _staff(db: AsyncSession, provider_id: UUID) -> int:
    return (
        await db.scalar(
            select(func.count())
            .select_from(Resource)
            .where(
                Resource.provider_id == provider_id, Resource.kind == Kind.STAFF, Resource.is_active
            )
        )
        or 0
    )
