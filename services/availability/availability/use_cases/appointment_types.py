"""What patients book."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from availability.announcements import (
    announce_appointment_type,
    announce_appointment_type_deleted,
)
from availability.domain.resources import Mode
from availability.models import AppointmentType, Location, Room, appointment_type_locations
from availability.ownership import apply, check_room_for, locked_provider, own
from availability.refusals import SlugTaken
from availability.use_cases.rules import drop_rules_of
from shared.errors import FieldError, Invalid
from shared.ids import new_id

MOST_TYPES = 200
"""Of one provider."""


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


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a service is given; what it names already may have been deleted since."""

    listed: Sequence[UUID] = ()
    location_id: UUID | None = None
    room_id: UUID | None = None


async def add_appointment_type(
    db: AsyncSession, provider_id: UUID, new: NewAppointmentType
) -> AppointmentType:
    """Raises Invalid with every place that is named and is not there."""
    await locked_provider(db, provider_id)
    await check_room_for(db, AppointmentType, provider_id, MOST_TYPES)
    wanted = _Places(new.location_ids, new.default_location_id, new.default_room_id)
    await _check_places(db, provider_id, wanted, _Places())
    await _check_slug(db, provider_id, new.slug)
    values = asdict(new) | {"required_equipment": list(new.required_equipment)}
    location_ids = values.pop("location_ids")
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
    """The fields of `NewAppointmentType` and `is_active`, those that are given.

    Appointments that exist stay as they were agreed.
    """
    await locked_provider(db, provider_id)
    service = await own(db, AppointmentType, provider_id, service_id)
    listed = (await places_of(db, [service_id])).get(service_id, [])
    known = _Places(listed, service.default_location_id, service.default_room_id)
    wanted = _Places(
        changes.get("location_ids", known.listed),
        changes.get("default_location_id", known.location_id),
        changes.get("default_room_id", known.room_id),
    )
    await _check_places(db, provider_id, wanted, known)
    if (slug := changes.get("slug", service.slug)) != service.slug:
        await _check_slug(db, provider_id, slug)
    is_changed = apply(
        service, {name: value for name, value in changes.items() if name != "location_ids"}
    )
    if set(wanted.listed) != set(listed):
        await db.execute(
            delete(appointment_type_locations).where(
                appointment_type_locations.c.appointment_type_id == service_id
            )
        )
        await _place(db, service, wanted.listed)
        is_changed = True
    if is_changed:
        await announce_appointment_type(db, service)
    return service


async def remove_appointment_type(db: AsyncSession, provider_id: UUID, service_id: UUID) -> None:
    """For good, with the rules for it; appointments that exist stay, and its slug is free again."""
    await locked_provider(db, provider_id)
    service = await own(db, AppointmentType, provider_id, service_id)
    await drop_rules_of(db, provider_id, service_ids=[service_id])
    service.is_active, service.deleted_at = False, func.now()
    await announce_appointment_type_deleted(db, service)


async def places_of(db: AsyncSession, service_ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
    """The locations that each of these services lists, if it lists any."""
    places = appointment_type_locations.c
    listed: dict[UUID, list[UUID]] = {}
    for service_id, location_id in await db.execute(
        select(places.appointment_type_id, places.location_id)
        .where(places.appointment_type_id.in_(service_ids))
        .order_by(places.location_id)
    ):
        listed.setdefault(service_id, []).append(location_id)
    return listed


async def _check_slug(db: AsyncSession, provider_id: UUID, slug: str) -> None:
    if await db.scalar(
        select(
            exists().where(
                AppointmentType.provider_id == provider_id,
                AppointmentType.slug == slug,
                AppointmentType.deleted_at.is_(None),
            )
        )
    ):
        raise SlugTaken("choose another slug")


async def _check_places(
    db: AsyncSession, provider_id: UUID, wanted: _Places, known: _Places
) -> None:
    """Whatever is newly named is the provider's own, and the defaults are among the places."""
    if wanted == known:
        return
    named = {*wanted.listed, wanted.location_id} - {None}
    rows = await db.scalars(
        select(Location.id).where(
            Location.provider_id == provider_id,
            Location.id.in_(named),
            Location.deleted_at.is_(None),
        )
    )
    there = {*rows, *known.listed, known.location_id}
    faults = [
        _unknown_location(f"locationIds.{place}")
        for place, location_id in enumerate(wanted.listed)
        if location_id not in there
    ]
    if wanted.location_id is not None:
        if wanted.location_id not in there:
            faults.append(_unknown_location("defaultLocationId"))
        elif wanted.listed and wanted.location_id not in wanted.listed:
            faults.append(
                FieldError("defaultLocationId", "NOT_LISTED", "Must be one of locationIds.")
            )
    if wanted.room_id is not None:
        faults += await _faults_of_room(db, provider_id, wanted, known)
    if faults:
        raise Invalid(errors=faults)


async def _faults_of_room(
    db: AsyncSession, provider_id: UUID, wanted: _Places, known: _Places
) -> list[FieldError]:
    room = await db.get(Room, wanted.room_id)
    is_there = room is not None and room.provider_id == provider_id and room.deleted_at is None
    if room is None or not (is_there or wanted.room_id == known.room_id):
        return [FieldError("defaultRoomId", "UNKNOWN_ROOM", "There is no such room.")]
    places = [wanted.location_id] if wanted.location_id else wanted.listed
    if places and room.location_id not in places:
        return [
            FieldError("defaultRoomId", "OTHER_LOCATION", "The room must be at the same location.")
        ]
    return []


def _unknown_location(path: str) -> FieldError:
    return FieldError(path, "UNKNOWN_LOCATION", "There is no such location.")


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
