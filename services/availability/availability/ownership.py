"""Loading what a provider has set up; what is somebody else's does not exist for them."""

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from availability.models import (
    AppointmentType,
    AvailabilityException,
    Location,
    Provider,
    Resource,
    Room,
    TimeOffRequest,
)
from availability.refusals import (
    ExceptionNotFound,
    LocationNotFound,
    ProviderNotFound,
    ResourceNotFound,
    RoomNotFound,
    ServiceNotFound,
    TimeOffNotFound,
    TooMany,
)
from shared.errors import FieldError, NotFound

Thing = TypeVar(
    "Thing",
    AppointmentType,
    AvailabilityException,
    Location,
    Resource,
    Room,
    TimeOffRequest,
)

_MISSING: Mapping[type[Any], type[NotFound]] = {
    AppointmentType: ServiceNotFound,
    AvailabilityException: ExceptionNotFound,
    Location: LocationNotFound,
    Resource: ResourceNotFound,
    Room: RoomNotFound,
    TimeOffRequest: TimeOffNotFound,
}


async def locked_provider(db: AsyncSession, provider_id: UUID) -> Provider:
    """From here to the commit nobody else changes what this provider has set up."""
    provider = await db.get(Provider, provider_id, with_for_update={"key_share": True})
    if provider is None or provider.deleted_at is not None:
        raise ProviderNotFound("no such provider")
    return provider


async def own(db: AsyncSession, kind: type[Thing], provider_id: UUID, id_: UUID) -> Thing:
    """The provider's own thing of this kind."""
    found = await db.get(kind, id_)
    if found is None or found.provider_id != provider_id or _is_deleted(found):
        raise _MISSING[kind]
    return found


async def check_room_for(
    db: AsyncSession,
    kind: type[Thing],
    provider_id: UUID,
    most: int,
    *conditions: ColumnElement[bool],
) -> None:
    """Raises TooMany when there is no room for one more that is not deleted (and meets these)."""
    if (deleted_at := getattr(kind, "deleted_at", None)) is not None:
        conditions = (*conditions, deleted_at.is_(None))
    count = await db.scalar(
        select(func.count()).select_from(kind).where(kind.provider_id == provider_id, *conditions)
    )
    if (count or 0) >= most:
        raise TooMany(f"there are {most} already", most=most)


def _is_deleted(thing: object) -> bool:
    """Rules and exceptions have no such mark: deleted, they are not there."""
    return getattr(thing, "deleted_at", None) is not None


async def check_scope(db: AsyncSession, provider_id: UUID, scope: Mapping[str, Any]) -> None:
    """Whatever the `scope_...` fields of a rule or an exception name is the provider's own."""
    if (service_id := scope.get("scope_appointment_type_id")) is not None:
        await own(db, AppointmentType, provider_id, service_id)
    if (location_id := scope.get("scope_location_id")) is not None:
        await own(db, Location, provider_id, location_id)
    if (room_id := scope.get("scope_room_id")) is not None:
        await own(db, Room, provider_id, room_id)


async def scope_faults(
    db: AsyncSession,
    provider_id: UUID,
    *,
    service: tuple[str, UUID | None],
    location: tuple[str, UUID | None],
    room: tuple[str, UUID | None],
) -> list[FieldError]:
    """What is wrong with a scope that a form names, each with the path of its field there."""
    faults: list[FieldError] = []
    if not await _is_own(db, AppointmentType, provider_id, service[1]):
        faults.append(
            FieldError(service[0], "UNKNOWN_APPOINTMENT_TYPE", "There is no such appointment type.")
        )
    if not await _is_own(db, Location, provider_id, location[1]):
        faults.append(FieldError(location[0], "UNKNOWN_LOCATION", "There is no such location."))
    if not await _is_own(db, Room, provider_id, room[1]):
        faults.append(FieldError(room[0], "UNKNOWN_ROOM", "There is no such room."))
    elif room[1] is not None and location[1] is not None:
        found = await own(db, Room, provider_id, room[1])
        if found.location_id != location[1]:
            faults.append(
                FieldError(room[0], "OTHER_LOCATION", "The room must be at the same location.")
            )
    return faults


async def _is_own(db: AsyncSession, kind: type[Thing], provider_id: UUID, id_: UUID | None) -> bool:
    """Also when nothing is named."""
    if id_ is None:
        return True
    try:
        await own(db, kind, provider_id, id_)
    except NotFound:
        return False
    return True


def apply(thing: Thing | Provider, values: Mapping[str, Any]) -> bool:
    """Write the values that differ; whether any did."""
    differing = {name: each for name, each in values.items() if getattr(thing, name) != each}
    for name, value in differing.items():
        setattr(thing, name, value)
    return bool(differing)
