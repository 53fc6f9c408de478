"""Loading what a provider has set up; what is somebody else's does not exist for them."""

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from availability.models import (
    AppointmentType,
    AvailabilityException,
    Location,
    Provider,
    Resource,
    Room,
    ScheduleRule,
)
from availability.refusals import (
    ExceptionNotFound,
    LocationNotFound,
    ProviderNotFound,
    ResourceNotFound,
    RoomNotFound,
    RuleNotFound,
    ServiceNotFound,
)
from shared.errors import NotFound

Thing = TypeVar(
    "Thing", AppointmentType, AvailabilityException, Location, Resource, Room, ScheduleRule
)

_MISSING: Mapping[type[Any], type[NotFound]] = {
    AppointmentType: ServiceNotFound,
    AvailabilityException: ExceptionNotFound,
    Location: LocationNotFound,
    Resource: ResourceNotFound,
    Room: RoomNotFound,
    ScheduleRule: RuleNotFound,
}


async def locked_provider(db: AsyncSession, provider_id: UUID) -> Provider:
    """From here to the commit nobody else changes what this provider has set up."""
    provider = await db.get(Provider, provider_id, with_for_update={"key_share": True})
    if provider is None:
        raise ProviderNotFound("no such provider")
    return provider


async def own(db: AsyncSession, kind: type[Thing], provider_id: UUID, id_: UUID) -> Thing:
    """The provider's own thing of this kind."""
    found = await db.get(kind, id_)
    if found is None or found.provider_id != provider_id:
        raise _MISSING[kind]
    return found


async def check_scope(db: AsyncSession, provider_id: UUID, scope: Mapping[str, Any]) -> None:
    """Whatever the `scope_...` fields of a rule or an exception name is the provider's own."""
    if (service_id := scope.get("scope_appointment_type_id")) is not None:
        await own(db, AppointmentType, provider_id, service_id)
    if (location_id := scope.get("scope_location_id")) is not None:
        await own(db, Location, provider_id, location_id)
    if (room_id := scope.get("scope_room_id")) is not None:
        await own(db, Room, provider_id, room_id)


def apply(thing: Thing | Provider, values: Mapping[str, Any]) -> bool:
    """Write the values that differ; whether any did."""
    differing = {name: each for name, each in values.items() if getattr(thing, name) != each}
    for name, value in differing.items():
        setattr(thing, name, value)
    return bool(differing)
