"""Practices and bookings that are valid by default; override what a test is about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from availability.consumers import HANDLERS
from availability.domain.local_time import minutes_down
from availability.domain.resources import Mode
from availability.domain.timeslot_id import timeslot_id
from availability.use_cases.appointment_types import NewAppointmentType, add_appointment_type
from availability.use_cases.locations import NewLocation, NewRoom, add_location, add_room
from availability.use_cases.providers import NewProvider, create_provider
from availability.use_cases.rules import NewRule, add_rules
from shared.db import Database
from shared.events import booking
from shared.events.envelope import Event, EventData
from shared.testing.run import TODAY

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def in_days(days: int, hour: int = 9, minute: int = 0) -> datetime:
    """A time of day in UTC, some days from today: notice and horizon have nothing against it."""
    on = TODAY + timedelta(days=days)
    return on.replace(hour=hour, minute=minute, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Practice:
    """A provider in UTC, by phone and open from 9 to 12 every day, unless told otherwise."""

    provider_id: UUID
    service_id: UUID
    mode: Mode
    duration: timedelta
    before: timedelta
    after: timedelta
    location_id: UUID | None
    room_ids: Sequence[UUID]
    unit_ids: Sequence[UUID]
    """Staff first, then rooms."""

    def path(self, suffix: str = "") -> str:
        return f"/v1/providers/{self.provider_id}/availability{suffix}?serviceId={self.service_id}"

    def timeslot_id(self, start: datetime) -> str:
        return timeslot_id(
            self.provider_id, self.service_id, self.location_id, self.mode, minutes_down(start)
        )


def a_rule(weekday: int, **changes: Any) -> NewRule:
    values = {
        "timezone": "UTC",
        "weekday": weekday,
        "start_minute": 9 * 60,
        "end_minute": 12 * 60,
        "slot_interval_minutes": 30,
    }
    return NewRule(**values | changes)


async def a_practice(
    database: Database,
    *,
    timezone: str = "UTC",
    staff: int = 1,
    rooms: Sequence[NewRoom] = (),
    rule: dict[str, Any] | None = None,
    weekdays: Iterable[int] = range(1, 8),
    **service: Any,
) -> Practice:
    """With ``rooms`` it is in person at one location."""
    values = {
        "slug": "visit",
        "name": "Visit",
        "mode": Mode.IN_PERSON if rooms else Mode.PHONE,
        "max_future_days": 365,
    }
    async with database.orm_transaction() as db:
        provider = await create_provider(
            db, NewProvider(name="Dr. Eleni", timezone=timezone, parallel_sessions=staff)
        )
        location_id = None
        if rooms:
            location = await add_location(db, provider.id, NewLocation(name="A", timezone=timezone))
            location_id = location.id
            for room in rooms:
                await add_room(db, provider.id, location.id, room)
        type_ = await add_appointment_type(db, provider.id, NewAppointmentType(**values | service))
        rules = [a_rule(day, **{"timezone": timezone} | (rule or {})) for day in weekdays]
        await add_rules(db, provider.id, rules)
    async with database.reading() as connection:
        units = await connection.fetch(
            "SELECT id FROM resources WHERE provider_id = $1 ORDER BY kind = 'room', id",
            provider.id,
        )
    return Practice(
        provider_id=provider.id,
        service_id=type_.id,
        mode=Mode(type_.mode),
        duration=type_.duration_minutes * MINUTE,
        before=type_.buffer_before_minutes * MINUTE,
        after=type_.buffer_after_minutes * MINUTE,
        location_id=location_id,
        room_ids=[room.id for room in rooms],
        unit_ids=[unit["id"] for unit in units],
    )


_EVENTS: dict[str, type[booking.AppointmentEvent]] = {
    "held": booking.BookingHeld,
    "pending": booking.BookingRequested,
    "confirmed": booking.BookingConfirmed,
    "completed": booking.BookingCompleted,
    "cancelled": booking.BookingCancelled,
    "no_show": booking.BookingNoShow,
}


def a_booking(
    practice: Practice, start: datetime, status: str = "confirmed", **changes: Any
) -> booking.AppointmentEvent:
    """What bookings says when an appointment of the practice becomes this; it has one unit."""
    units = changes.pop("units", practice.unit_ids[:1])
    end = start + practice.duration
    is_active = status in ("held", "pending", "confirmed")
    now = datetime.now(UTC)
    values = {
        "id": uuid4(),
        "version": 1,
        "status": status,
        "user_id": uuid4(),
        "provider_id": practice.provider_id,
        "provider_name": "Dr. Eleni",
        "service_id": practice.service_id,
        "service_title": "Visit",
        "timeslot_id": practice.timeslot_id(start),
        "start": start,
        "end": end,
        "mode": practice.mode.value,
        "location_id": practice.location_id,
        "location_name": None,
        "location_address": None,
        "room_id": None,
        "price_cents": 0,
        "currency": "EUR",
        "booked_from": "patient_portal",
        "hold_expires_at": now + timedelta(minutes=2) if status == "held" else None,
        "pending_expires_at": None,
        "patient_timezone": "UTC",
        "provider_timezone": "UTC",
        "cancellation": None,
        "rescheduled_from": None,
        "rescheduled_to": None,
        "reschedule_count": 0,
        "claims": [
            booking.Claim(
                resource_id=unit,
                kind="staff" if unit == practice.unit_ids[0] else "room",
                start=start - practice.before,
                end=end + practice.after,
            )
            for unit in units
        ]
        if is_active
        else [],
        "change": booking.Change(action="confirmed", actor_type="patient", actor_id=None, at=now),
        "created_at": now,
        "updated_at": now,
    }
    return _EVENTS[status].model_validate(values | changes)


def later(
    before: booking.AppointmentEvent, practice: Practice, status: str, **changes: Any
) -> booking.AppointmentEvent:
    """The same appointment, one version on."""
    kept = {"id": before.id, "user_id": before.user_id, "version": before.version + 1}
    return a_booking(practice, before.start, status, **kept | changes)


def an_event(data: EventData) -> Event[Any]:
    return Event(
        id=uuid4(),
        type=data.type,
        source=data.source,
        subject=data.subject,
        sequence=data.sequence,
        time=datetime.now(UTC),
        data=data,
    )


async def receive(database: Database, *facts: EventData) -> None:
    """Each in a transaction of its own, as the consumer handles them."""
    for fact in facts:
        async with database.transaction() as db:
            await HANDLERS[type(fact)](db, an_event(fact))
