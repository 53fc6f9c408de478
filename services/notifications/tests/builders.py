"""Events, jobs and people that are valid by default; override what the test is about."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from notifications.domain.facts import AnyFacts, CalendarFacts, ConflictFacts, Facts, WebhookFacts
from notifications.domain.job import Contact, Job
from notifications.domain.news import News, Party
from shared.events.availability import ConflictFound, ConflictingAppointment
from shared.events.booking import AppointmentEvent, BookingConfirmed, Cancellation, Change
from shared.events.calendar import CalendarConnectionBroken, CalendarConnectionConnected
from shared.events.envelope import Event, EventData
from shared.events.patient import PatientUpdated
from shared.events.provider import ProviderUpdated

PATIENT = UUID("01900000-0000-7000-8000-000000000001")
PROVIDER = UUID("01900000-0000-7000-8000-000000000002")
CALENDAR = UUID("01900000-0000-7000-8000-000000000003")
ENDPOINT = UUID("01900000-0000-7000-8000-000000000004")
PATIENT_EMAIL = "maria@example.com"
PROVIDER_EMAIL = "eleni@clinic.example"

SETTINGS = {
    "database_url": "postgresql://nobody@localhost/nothing",
    "amqp_url": "amqp://nobody@localhost/",
    "auth_issuer": "https://issuer.test",
    "auth_audience": "medic",
    "auth_jwks": "jwks.json",
    "service_secret": "a-secret-between-services-for-tests-only",
}
"""All that a service must be told; nothing of it leads anywhere."""

_STATUS = {"requested": "pending", "rescheduled": "confirmed"}


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


def an_appointment(
    kind: type[AppointmentEvent] = BookingConfirmed, **given: Any
) -> AppointmentEvent:
    """``an_appointment(BookingCancelled, version=3, cause="provider")``"""
    now = datetime.now(UTC)
    name = kind.type.partition(".")[2]
    status = given.get("status", _STATUS.get(name, name))
    start = given.get("start", now + timedelta(days=7))
    cause = given.pop("cause", "patient")
    happened_at = given.pop("happened_at", now)
    values: dict[str, Any] = {
        "id": uuid4(),
        "version": 2,
        "status": status,
        "user_id": PATIENT,
        "provider_id": PROVIDER,
        "provider_name": "Dr. Eleni Ioannou",
        "service_id": uuid4(),
        "service_title": "HIV test",
        "timeslot_id": "a-timeslot",
        "start": start,
        "end": start + timedelta(minutes=30),
        "mode": "in_person",
        "location_id": uuid4(),
        "location_name": "Main clinic",
        "location_address": "5 Example Street, Athens",
        "room_id": None,
        "price_cents": 5000,
        "currency": "EUR",
        "booked_from": "patient_portal",
        "hold_expires_at": now + timedelta(minutes=2) if status == "held" else None,
        "pending_expires_at": now + timedelta(days=1) if status == "pending" else None,
        "patient_timezone": "Europe/London",
        "provider_timezone": "Europe/Athens",
        "cancellation": None,
        "rescheduled_from": None,
        "rescheduled_to": None,
        "reschedule_count": 0,
        "claims": [],
        "change": Change(action=status, actor_type="patient", actor_id=PATIENT, at=happened_at),
        "created_at": now,
        "updated_at": now,
    }
    if status == "cancelled":
        values["cancellation"] = Cancellation(
            at=happened_at, cause=cause, by_type="patient", by_id=PATIENT, fee_cents=0
        )
    return kind(**values | given)


def a_patient(**given: Any) -> PatientUpdated:
    values = {
        "id": PATIENT,
        "version": 1,
        "name": "Maria Pappas",
        "email": PATIENT_EMAIL,
        "phone": None,
        "language": "en",
        "timezone": "Europe/London",
    }
    return PatientUpdated(**values | given)


def a_provider(**given: Any) -> ProviderUpdated:
    values = {
        "id": PROVIDER,
        "version": 1,
        "name": "Dr. Eleni Ioannou",
        "email": PROVIDER_EMAIL,
        "phone": None,
        "language": "en",
        "timezone": "Europe/Athens",
        "is_active": True,
        "locations": [],
    }
    return ProviderUpdated(**values | given)


def a_contact(**given: Any) -> Contact:
    values = {
        "name": "Maria Pappas",
        "email": PATIENT_EMAIL,
        "phone": None,
        "language": "en",
        "timezone": "Europe/London",
        "is_erased": False,
    }
    return Contact(**values | given)


def some_facts(**given: Any) -> Facts:
    start = given.get("start", datetime(2026, 11, 24, 7, 30, tzinfo=UTC))
    values = {
        "appointment_id": uuid4(),
        "patient_id": PATIENT,
        "patient_timezone": "Europe/London",
        "provider_id": PROVIDER,
        "provider_name": "Dr. Eleni Ioannou",
        "provider_timezone": "Europe/Athens",
        "start": start,
        "end": start + timedelta(minutes=30),
        "mode": "in_person",
        "location_name": "Main clinic",
        "location_address": "5 Example Street, Athens",
    }
    return Facts(**values | given)


def facts_about(news: News, **given: Any) -> AnyFacts:
    """Whatever a message of this kind is about."""
    if news is News.CONFLICT_FOUND:
        starts = [datetime(2026, 11, 24, 7, 30, tzinfo=UTC)]
        values = {"provider_id": PROVIDER, "cause": "rules", "count": 1, "is_complete": True}
        return ConflictFacts(**values | {"starts": starts} | given)
    if news is News.CALENDAR_BROKEN:
        return CalendarFacts(provider_id=PROVIDER, connection_id=CALENDAR, calendar="google")
    if news is News.WEBHOOK_DISABLED:
        values = {"host": "integrator.example", "because": "failing"}
        return WebhookFacts(provider_id=PROVIDER, endpoint_id=ENDPOINT, **values | given)
    if news is News.REQUEST_EXPIRES:
        given = {"pending_expires_at": datetime(2026, 11, 21, 16, tzinfo=UTC)} | given
    return some_facts(**given)


def a_job(**given: Any) -> Job:
    """``facts`` may be given instead of how they are stored."""
    now = given.get("now", datetime(2026, 11, 20, 12, 0, tzinfo=UTC))
    news = given.pop("news", News.CONFIRMED)
    facts = given.pop("facts", None) or facts_about(news)
    values = {
        "id": uuid4(),
        "kind": news.value,
        "party": Party.PATIENT,
        "channel": "email",
        "fallback": (),
        "recipient_id": PATIENT,
        "recipient": a_contact(),
        "patient_name": "Maria Pappas",
        "stored": facts.stored,
        "appointment_id": uuid4(),
        "version": 2,
        "wanted_status": "confirmed",
        "appointment_status": "confirmed",
        "replaced_version": None,
        "now": now,
        "due_at": now,
        "expires_at": now + timedelta(hours=1),
        "unknown_attempts": 0,
        "unknown_since": None,
        "traceparent": None,
    }
    return Job(**values | given)


def a_conflict(**given: Any) -> ConflictFound:
    start = datetime.now(UTC) + timedelta(days=2)
    hit = ConflictingAppointment(
        id=uuid4(),
        status="confirmed",
        user_id=PATIENT,
        service_id=uuid4(),
        start=start,
        end=start + timedelta(minutes=30),
        mode="video",
        location_id=None,
        room_id=None,
    )
    values = {
        "provider_id": PROVIDER,
        "version": 5,
        "cause": "rules",
        "cause_id": None,
        "is_complete": True,
        "appointments": [hit],
    }
    return ConflictFound(**values | given)


def a_broken_calendar(**given: Any) -> CalendarConnectionBroken:
    values = {
        "id": CALENDAR,
        "version": 1,
        "provider_id": PROVIDER,
        "kind": "google",
        "reason": "access_revoked",
    }
    return CalendarConnectionBroken(**values | given)


def a_working_calendar(**given: Any) -> CalendarConnectionConnected:
    values = {
        "id": CALENDAR,
        "version": 1,
        "provider_id": PROVIDER,
        "kind": "google",
        "as_of": datetime.now(UTC),
    }
    return CalendarConnectionConnected(**values | given)
