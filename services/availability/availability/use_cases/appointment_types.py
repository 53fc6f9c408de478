"""What patients book."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from availability.announcements import announce_appointment_type
from availability.domain.resources import Mode
from availability.models import AppointmentType, Location, Room, appointment_type_locations
from availability.ownership import apply, locked_provider, own
from availability.refusals import SlugTaken
from shared.ids import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAppointmentType:
    """Lengths are minutes, the horizon is calendar days in the provider's zone.

    In person without `location_ids` it is given at every location of the provider, otherwise it
    then has no place.
    """

    id: UUID = field(default_factory=new_id)
    slug: str
    name: str
    description: str | None = None
    mode: Mode
    duration_minutes: int = 30
    buffer_before_minutes: int = 0
    buffer_after_minutes: int = 0
    price_cents: int = 0
    currency: str = "EUR"
    requires_approval: bool = False
    hold_seconds: int = 120
    min_notice_minutes: int = 0
    max_future_days: int = 60
    allow_patient_reschedule: bool = True
    max_reschedule_count: int = 2
    cancellation_free_until_minutes: int = 24 * 60
    cancellation_fee_cents: int = 0
    cancellation_fee_percent: int = 0
    cancellation_cutoff_minutes: int = 0
    required_equipment: Sequence[str] = ()
    location_ids: Sequence[UUID] = ()
    default_location_id: UUID | None = None
    default_room_id: UUID | None = None


async def add_appointment_type(
    db: AsyncSession, provider_id: UUID, new: NewAppointmentType
) -> AppointmentType:
    await locked_provider(db, provider_id)
    values = asdict(new) | {"required_equipment": list(new.required_equipment)}
    location_ids = values.pop("location_ids")
    await _check(db, provider_id, new.id, values | {"location_ids": location_ids})
    service = AppointmentType(
        **values | {"mode": new.mode.value, "provider_id": provider_id, "version": 0},
        is_active=True,
    )
    db.add(service)
    await db.flush()
    await _place(db, service, location_ids)
    await announce_appointment_type(db, service)
    return service


async def change_appointment_type(
    db: AsyncSession, provider_id: UUID, service_id: UUID, changes: Mapping[str, Any]
) -> AppointmentType:
    """The fields of `NewAppointmentType` and `is_active`, those that are given."""
    await locked_provider(db, provider_id)
    service = await own(db, AppointmentType, provider_id, service_id)
    await _check(db, provider_id, service_id, changes)
    values = dict(changes)
    location_ids = values.pop("location_ids", None)
    is_changed = apply(service, values)
    if location_ids is not None and set(location_ids) != await _places(db, service_id):
        await db.execute(
            delete(appointment_type_locations).where(
                appointment_type_locations.c.appointment_type_id == service_id
            )
        )
        await _place(db, service, location_ids)
        is_changed = True
    if is_changed:
        await announce_appointment_type(db, service)
    return service


async def _check(
    db: AsyncSession, provider_id: UUID, service_id: UUID, values: Mapping[str, Any]
) -> None:
    default_location = values.get("default_location_id")
    for location_id in {*values.get("location_ids", ()), default_location} - {None}:
        await own(db, Location, provider_id, location_id)
    if (room_id := values.get("default_room_id")) is not None:
        await own(db, Room, provider_id, room_id)
    if "slug" in values and await db.scalar(
        select(
            exists().where(
                AppointmentType.provider_id == provider_id,
                AppointmentType.slug == values["slug"],
                AppointmentType.id != service_id,
            )
        )
    ):
        raise SlugTaken("choose another slug")


async def _places(db: AsyncSession, service_id: UUID) -> set[UUID]:
    places = appointment_type_locations.c
    return set(
        await db.scalars(select(places.location_id).where(places.appointment_type_id == service_id))
    )


async def _place(db: AsyncSession, service: AppointmentType, location_ids: Sequence[UUID]) -> None:
    if location_ids:
        await db.execute(
            insert(appointment_type_locations),
            [
                {
                    "provider_id": service.provider_id,
                    "appointment_type_id": service.id,
                    "location_id": location_id,
                }
                for location_id in set(location_ids)
            ],
        )
