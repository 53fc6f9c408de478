"""Providers, services and wishes that are valid by default; override what the test is about."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from bookings import consumers
from bookings.domain.appointment import Appointment, Claim, Terms
from bookings.domain.lifecycle import Status
from bookings.use_cases.hold import Wish
from shared.db import Connection, Database
from shared.events.envelope import Event, EventData
from shared.events.provider import (
    AppointmentTypeUpdated,
    CancellationTerms,
    Location,
    ProviderUpdated,
    ResourceUpdated,
    Room,
)
from shared.testing.run import TODAY

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


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


def a_location(**changes: Any) -> Location:
    values = {
        "id": uuid4(),
        "name": "Main clinic",
        "address": "1 Clinic Street",
        "city": "Athens",
        "country": "GR",
        "timezone": "Europe/Athens",
        "is_primary": True,
        "rooms": [],
    }
    return Location(**values | changes)


def a_room(**changes: Any) -> Room:
    return Room(**{"id": uuid4(), "name": "Room", "capacity": 1, "is_virtual": False} | changes)


def a_provider(**changes: Any) -> ProviderUpdated:
    values = {
        "id": uuid4(),
        "version": 1,
        "name": "Dr. Eleni",
        "email": "eleni@example.org",
        "phone": None,
        "language": "en",
        "timezone": "Europe/Athens",
        "is_active": True,
        "locations": [],
    }
    return ProviderUpdated(**values | changes)


def a_service(provider_id: UUID, **changes: Any) -> AppointmentTypeUpdated:
    values = {
        "id": uuid4(),
        "version": 1,
        "provider_id": provider_id,
        "slug": "consultation",
        "name": "Consultation",
        "description": None,
        "mode": "phone",
        "duration_minutes": 30,
        "buffer_before_minutes": 0,
        "buffer_after_minutes": 0,
        "price_cents": 5000,
        "currency": "EUR",
        "requires_approval": False,
        "hold_seconds": 120,
        "min_notice_minutes": 0,
        "max_future_days": 365,
        "allow_patient_reschedule": True,
        "max_reschedule_count": 2,
        "cancellation": CancellationTerms(
            free_until_minutes=24 * 60, fee_cents=2000, fee_percent=0, cutoff_minutes=0
        ),
        "required_equipment": [],
        "location_ids": [],
        "default_location_id": None,
        "default_room_id": None,
        "is_active": True,
    }
    return AppointmentTypeUpdated(**values | changes)


def a_resource(provider_id: UUID, kind: str = "staff", **changes: Any) -> ResourceUpdated:
    values = {
        "id": uuid4(),
        "version": 1,
        "provider_id": provider_id,
        "kind": kind,
        "label": kind,
        "location_id": None,
        "room_id": None,
        "is_active": True,
    }
    return ResourceUpdated(**values | changes)


@dataclass
class Clinic:
    """One provider with one service, known to bookings."""

    provider: ProviderUpdated
    service: AppointmentTypeUpdated
    resources: list[ResourceUpdated] = field(default_factory=list)

    @property
    def resource_ids(self) -> list[UUID]:
        return sorted(resource.id for resource in self.resources)


async def a_clinic(
    database: Database,
    *,
    staff: int = 1,
    resources: Sequence[dict[str, Any]] = (),
    **service: Any,
) -> Clinic:
    provider = a_provider()
    clinic = Clinic(provider, a_service(provider.id, **service))
    clinic.resources = [a_resource(provider.id) for _ in range(staff)]
    clinic.resources += [a_resource(provider.id, **values) for values in resources]
    async with database.transaction() as db:
        await consumers.save_provider(db, an_event(provider))
        await consumers.save_appointment_type(db, an_event(clinic.service))
        for resource in clinic.resources:
            await consumers.save_resource(db, an_event(resource))
    return clinic


async def a_patient(db: Connection, **changes: Any) -> UUID:
    values = {"id": uuid4(), "name": "Maria", "email": "maria@example.org", "phone": None} | changes
    await db.execute(
        "INSERT INTO patients (id, version, name, email, phone, language, timezone) "
        "VALUES ($1, 1, $2, $3, $4, 'el', 'Europe/Athens')",
        *(values[name] for name in ("id", "name", "email", "phone")),
    )
    patient_id: UUID = values["id"]
    return patient_id


def tomorrow(hour: int = 9, minute: int = 0) -> datetime:
    day = TODAY + timedelta(days=1)
    return day.replace(hour=hour, minute=minute, second=0, microsecond=0)


def a_wish(clinic: Clinic, **changes: Any) -> Wish:
    start = changes.pop("start", tomorrow())
    values = {
        "patient_id": uuid4(),
        "provider_id": clinic.provider.id,
        "service_id": clinic.service.id,
        "timeslot_id": f"slot-{start:%Y%m%dT%H%M}",
        "start": start,
        "mode": clinic.service.mode,
        "location_id": None,
        "room_id": None,
        "token_hash": sha256(uuid4().bytes).digest(),
    }
    return Wish(**values | changes)


def some_terms(**changes: Any) -> Terms:
    terms = Terms(
        provider_name="Dr. Eleni",
        service_title="Consultation",
        location_name=None,
        location_address=None,
        buffer_before_minutes=0,
        buffer_after_minutes=0,
        price_cents=5000,
        currency="EUR",
        requires_approval=False,
        allow_patient_reschedule=True,
        max_reschedule_count=2,
        min_notice_minutes=0,
        max_future_days=60,
        free_until_minutes=24 * 60,
        fee_cents=2000,
        fee_percent=0,
        cutoff_minutes=0,
    )
    return replace(terms, **changes)


def an_appointment(**changes: Any) -> Appointment:
    start = changes.get("start", NOW + timedelta(days=7))
    end = start + timedelta(minutes=30)
    values = {
        "id": uuid4(),
        "version": 2,
        "status": Status.CONFIRMED,
        "patient_id": uuid4(),
        "provider_id": uuid4(),
        "service_id": uuid4(),
        "timeslot_id": "slot",
        "start": start,
        "end": end,
        "mode": "phone",
        "location_id": None,
        "room_id": None,
        "terms": some_terms(),
        "source": "patient_portal",
        "patient_timezone": "Europe/Athens",
        "provider_timezone": "Europe/Athens",
        "created_at": NOW,
        "updated_at": NOW,
        "claims": (Claim(uuid4(), "staff", start, end),),
    }
    return Appointment(**values | changes)
