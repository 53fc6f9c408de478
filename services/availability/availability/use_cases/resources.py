"""What appointments take up: staff, rooms, telehealth slots, equipment; each row is one unit."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from availability.announcements import announce_resource, announce_resource_deleted
from availability.domain.resources import Kind
from availability.expected import check_units_free, claimed_units
from availability.models import Location, Resource
from availability.ownership import apply, check_room_for, locked_provider, own
from availability.refusals import BelongsToRoom, LocationNotFound, NoStaffLeft
from shared.errors import FieldError, Invalid
from shared.ids import new_id

MOST_UNITS = 50
MOST_RESOURCES = 1000
"""Of one provider in all; computing timeslots reads every one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResource:
    """Equipment is asked for by its label; without a location it serves at all of them."""

    id: UUID = field(default_factory=new_id)
    kind: Kind
    label: str
    location_id: UUID | None = None
    room_id: UUID | None = None


async def add_resource(db: AsyncSession, provider_id: UUID, new: NewResource) -> Resource:
    """One more unit; not of a room, which has as many as it has capacity."""
    await locked_provider(db, provider_id)
    if new.room_id is not None or new.kind is Kind.ROOM:
        raise BelongsToRoom("a room has as many units as it has capacity")
    await _check_location(db, provider_id, new.location_id)
    return await _add(db, provider_id, new)


async def change_resource(
    db: AsyncSession, provider_id: UUID, resource_id: UUID, changes: Mapping[str, Any]
) -> Resource:
    """Of `label`, `location_id` and `is_active` those that are given.

    Raises StillClaimed when the unit would be taken from somebody who is still expected.
    """
    await locked_provider(db, provider_id)
    resource = await _own_unit(db, provider_id, resource_id)
    location_id = changes.get("location_id", resource.location_id)
    if location_id != resource.location_id:
        await _check_location(db, provider_id, location_id)
    leaves = location_id is not None and location_id != resource.location_id
    if leaves or changes.get("is_active") is False:
        await check_units_free(db, provider_id, [resource_id])
    if apply(resource, changes):
        await announce_resource(db, resource)
        await _check_staff(db, provider_id)
    return resource


async def remove_resource(db: AsyncSession, provider_id: UUID, resource_id: UUID) -> None:
    """Raises StillClaimed when anybody is still expected there."""
    await locked_provider(db, provider_id)
    resource = await _own_unit(db, provider_id, resource_id)
    await check_units_free(db, provider_id, [resource_id])
    await remove_units(db, provider_id, [resource])


async def keep_staff(db: AsyncSession, provider_id: UUID, name: str, count: int) -> None:
    """So many units of staff are in use, those that have names of their own among them.

    One at least; raises StillClaimed when more of them are claimed than should stay.
    """
    unit = NewResource(id=provider_id, kind=Kind.STAFF, label=name)
    await keep_units(db, provider_id, unit, max(count, 1))


async def keep_units(db: AsyncSession, provider_id: UUID, like: NewResource, count: int) -> None:
    """So many units of the same kind and room as this one are in use.

    Those that nobody is expected on go first; raises StillClaimed when one would have to go that
    is claimed. Ids of new units follow from the given one's, and a unit that was taken out of use
    comes back as itself. The caller has locked the provider.
    """
    units = {
        unit.id: unit
        for unit in await db.scalars(
            select(Resource).where(
                Resource.provider_id == provider_id,
                Resource.kind == like.kind.value,
                Resource.room_id == like.room_id,
            )
        )
    }
    ids = [uuid5(like.id, f"{like.kind.value} {number}") for number in range(1, MOST_UNITS + 1)]
    in_use = [unit for unit in units.values() if unit.is_active]
    if len(in_use) > count:
        await _take_out(db, provider_id, in_use, ids, len(in_use) - count)
    idle = [id_ for id_ in ids if id_ not in {unit.id for unit in in_use}]
    for id_ in idle[: max(count - len(in_use), 0)]:
        if (unit := units.get(id_)) is None:
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
        else:
            unit.label, unit.location_id = like.label, like.location_id
            unit.is_active, unit.deleted_at = True, None
            await announce_resource(db, unit)


async def remove_units(db: AsyncSession, provider_id: UUID, units: Collection[Resource]) -> None:
    """They are gone for good. The caller has seen that nobody is expected on them."""
    for unit in units:
        unit.is_active, unit.deleted_at = False, func.now()
        await announce_resource_deleted(db, unit)
    await _check_staff(db, provider_id)


async def rename_units(db: AsyncSession, room_id: UUID, label: str) -> None:
    """A room's units in use are called as the room is."""
    for unit in await db.scalars(
        select(Resource).where(Resource.room_id == room_id, Resource.is_active)
    ):
        if apply(unit, {"label": label}):
            await announce_resource(db, unit)


async def count_staff(db: AsyncSession, provider_id: UUID) -> int:
    """How many units of staff are in use."""
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


async def _take_out(
    db: AsyncSession, provider_id: UUID, in_use: list[Resource], ids: list[UUID], surplus: int
) -> None:
    """Free units before claimed ones, then numbered ones before those with names, last first."""
    claimed = await claimed_units(db, provider_id)
    number = {id_: place for place, id_ in enumerate(ids)}
    leaving = sorted(in_use, key=lambda unit: (unit.id in claimed, -number.get(unit.id, -1)))
    leaving = leaving[:surplus]
    await check_units_free(db, provider_id, [unit.id for unit in leaving])
    for unit in leaving:
        unit.is_active = False
        await announce_resource(db, unit)


async def _own_unit(db: AsyncSession, provider_id: UUID, resource_id: UUID) -> Resource:
    resource = await own(db, Resource, provider_id, resource_id)
    if resource.room_id is not None:
        raise BelongsToRoom("change the room's capacity, or the room itself")
    return resource


async def _check_location(db: AsyncSession, provider_id: UUID, location_id: UUID | None) -> None:
    if location_id is None:
        return
    try:
        await own(db, Location, provider_id, location_id)
    except LocationNotFound:
        raise Invalid(
            errors=[FieldError("locationId", "UNKNOWN_LOCATION", "There is no such location.")]
        ) from None


async def _check_staff(db: AsyncSession, provider_id: UUID) -> None:
    if not await count_staff(db, provider_id):
        raise NoStaffLeft("this is the last one")


async def _add(db: AsyncSession, provider_id: UUID, new: NewResource) -> Resource:
    await check_room_for(db, Resource, provider_id, MOST_RESOURCES)
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
