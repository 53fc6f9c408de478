"""What the tests of calendar-sync are about: appointments that bookings has told of."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI

from calendar_sync.app import make_app
from calendar_sync.consumers import HANDLERS
from calendar_sync.settings import CalendarSyncSettings
from shared.db import Database
from shared.events.booking import AppointmentEvent, BookingConfirmed, Cancellation, Change
from shared.events.envelope import Event, EventData
from shared.events.provider import ProviderUpdated
from shared.http import ASGITransport, AsyncClient
from shared.ids import new_id
from shared.testing.tokens import MakeToken

PATIENT = UUID("01900000-0000-7000-8000-000000000001")
PROVIDER = UUID("01900000-0000-7000-8000-000000000002")
START = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
OWN_SETTINGS: dict[str, Any] = {
    "public_url": "https://clinic.example",
    "calendar_link_secret": "a-secret-of-feed-links-for-tests-only",
    "calendar_keys": "test:dGVzdC1rZXktdGVzdC1rZXktdGVzdC1rZXktdGVzdC0=",
    "calendar_opened_hosts": "127.0.0.1",
}
TOLD_AT = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)

AnAppointment = Callable[..., AppointmentEvent]
Tell = Callable[..., Awaitable[None]]


@pytest.fixture(scope="session")
def service_folder() -> Path:
    return Path(__file__).parents[1]


@pytest.fixture
def an_appointment() -> AnAppointment:
    """``an_appointment(BookingCancelled, version=3)``: an event, valid by default."""

    def build(kind: type[AppointmentEvent] = BookingConfirmed, **given: Any) -> AppointmentEvent:
        status = kind.type.partition(".")[2]
        status = {"requested": "pending", "rescheduled": "confirmed"}.get(status, status)
        start = given.get("start", START)
        values: dict[str, Any] = {
            "id": new_id(),
            "version": 2,
            "status": status,
            "user_id": PATIENT,
            "provider_id": PROVIDER,
            "provider_name": "Dr. Eleni Ioannou",
            "service_id": new_id(),
            "service_title": "First consultation",
            "timeslot_id": "a-timeslot",
            "start": start,
            "end": start + timedelta(minutes=30),
            "mode": "in_person",
            "location_id": new_id(),
            "location_name": "Main clinic",
            "location_address": "5 Example Street, Athens",
            "room_id": None,
            "price_cents": 5000,
            "currency": "EUR",
            "booked_from": "patient_portal",
            "hold_expires_at": TOLD_AT if status == "held" else None,
            "pending_expires_at": None,
            "patient_timezone": "Europe/London",
            "provider_timezone": "Europe/Athens",
            "cancellation": None,
            "rescheduled_from": None,
            "rescheduled_to": None,
            "reschedule_count": 0,
            "claims": [],
            "change": Change(action=status, actor_type="patient", actor_id=PATIENT, at=TOLD_AT),
            "created_at": TOLD_AT,
            "updated_at": TOLD_AT,
        }
        if status == "cancelled":
            values["cancellation"] = Cancellation(
                at=TOLD_AT, cause="patient", by_type="patient", by_id=PATIENT, fee_cents=0
            )
        return kind(**values | given)

    return build


@pytest.fixture
def the_provider() -> ProviderUpdated:
    return ProviderUpdated(
        id=PROVIDER,
        version=1,
        name="Dr. Eleni Ioannou",
        email=None,
        phone=None,
        language="el",
        timezone="Europe/Athens",
        is_active=True,
        locations=[],
    )


@pytest.fixture
def tell(database: Database) -> Tell:
    """Hands events to calendar-sync, in this order, each in a transaction of its own."""

    async def tell(*events: EventData) -> None:
        for data in events:
            event = Event[Any](
                id=new_id(),
                type=data.type,
                source=data.source,
                subject=data.subject,
                sequence=data.sequence,
                time=TOLD_AT,
                data=data,
            )
            async with database.transaction() as db:
                await HANDLERS[type(data)](db, event)

    return tell


@pytest.fixture
def app(settings_values: dict[str, Any]) -> FastAPI:
    return make_app(CalendarSyncSettings(**settings_values, **OWN_SETTINGS))


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Calls the API as nobody."""
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="https://clinic.example") as client,
    ):
        yield client


@pytest.fixture
def as_user(make_token: MakeToken) -> Callable[[str, UUID], dict[str, str]]:
    """``headers=as_user("provider", PROVIDER)``"""

    def headers(role: str, user_id: UUID) -> dict[str, str]:
        return {"Authorization": f"Bearer {make_token(role, user_id)}"}

    return headers


@pytest.fixture
def provider(as_user: Callable[[str, UUID], dict[str, str]]) -> dict[str, str]:
    """The headers of the provider whom the tests are about."""
    return as_user("provider", PROVIDER)


@pytest.fixture
def patient(as_user: Callable[[str, UUID], dict[str, str]]) -> dict[str, str]:
    """The headers of the patient whom the tests are about."""
    return as_user("patient", PATIENT)
