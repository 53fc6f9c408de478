"""What is told at its time: planned by the event, planned anew, withdrawn, and announced."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from notifications.domain.facts import Facts
from notifications.domain.news import Party
from notifications.domain.preferences import Preferences, Recipient
from notifications.domain.tellings import About, tellings_later
from notifications.jobs.planning import plan
from notifications.jobs.upkeep import end_expired, forget_old
from shared.db import Database
from shared.events.booking import (
    AppointmentEvent,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingNoShow,
    BookingRequested,
)
from shared.events.calendar import CalendarConnectionDeleted
from shared.events.patient import CommunicationPreferences
from shared.events.provider import ProviderDeleted

from .builders import (
    CALENDAR,
    PATIENT,
    PATIENT_EMAIL,
    PROVIDER,
    PROVIDER_EMAIL,
    a_broken_calendar,
    a_conflict,
    a_patient,
    a_provider,
    a_working_calendar,
    an_appointment,
)
from .conftest import Events, MakeSender, Rows, Running, Tell, Until
from .mail_host import MailHost

HOUR = timedelta(hours=1)


@pytest.fixture
def appointment() -> AppointmentEvent:
    """In five days, at noon in the patient's zone."""
    start = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return an_appointment(BookingConfirmed, start=start + timedelta(days=5))


def moved_on(before: AppointmentEvent, kind: type[AppointmentEvent], **given: Any) -> Any:
    same = {"id": before.id, "start": before.start, "service_id": before.service_id}
    return an_appointment(kind, version=before.version + 1, **same, **given)


async def wish(database: Database, user_id: UUID, **preferences: Any) -> None:
    async with database.transaction() as db:
        await db.execute(
            "INSERT INTO notification_preferences (user_id, data) VALUES ($1, $2)",
            user_id,
            Preferences(**preferences).as_json(),
        )


async def test_a_confirmation_plans_the_reminders_and_says_so(
    tell: Tell, later_jobs: Rows, events: Events, appointment: AppointmentEvent
) -> None:
    await tell(appointment, appointment)

    planned = await later_jobs()
    assert [(row["party"], row["due_at"] - appointment.start) for row in planned] == [
        ("patient", -24 * HOUR),
        ("patient", -2 * HOUR),
    ]
    assert [(row["channel"], row["fallback"]) for row in planned] == [
        ("email", []),
        ("sms", ["email"]),
    ]
    announced = await events()
    assert [event.type for event in announced] == ["notification.reminder_scheduled"] * 2
    assert {event.notification_id for event in announced} == {row["id"] for row in planned}
    assert {event.due_at for event in announced} == {row["due_at"] for row in planned}
    assert {event.appointment_id for event in announced} == {appointment.id}


async def test_a_cancellation_withdraws_every_reminder(
    tell: Tell, later_jobs: Rows, appointment: AppointmentEvent
) -> None:
    await tell(appointment, moved_on(appointment, BookingCancelled))

    assert [row["status"] for row in await later_jobs()] == ["withdrawn"] * 2


async def test_an_approval_takes_back_that_the_request_expires(
    tell: Tell, later_jobs: Rows
) -> None:
    requested = an_appointment(BookingRequested)
    await tell(requested)
    [planned] = await later_jobs()
    assert planned["due_at"] == requested.pending_expires_at - HOUR

    await tell(moved_on(requested, BookingConfirmed))

    assert [(row["kind"], row["status"]) for row in await later_jobs()] == [
        ("request_expires", "withdrawn"),
        ("reminder", "queued"),
        ("reminder", "queued"),
    ]


async def test_a_later_version_is_what_reminders_speak_of(
    tell: Tell, later_jobs: Rows, events: Events, appointment: AppointmentEvent
) -> None:
    later = appointment.model_copy(update={"version": 3, "location_name": "Annex"})

    await tell(appointment, later)

    for row in await later_jobs():
        assert (row["appointment_version"], row["payload"]["location_name"]) == (3, "Annex")
    assert len(await events()) == 2


async def test_a_type_of_appointment_has_its_own_times(
    tell: Tell, later_jobs: Rows, database: Database, appointment: AppointmentEvent
) -> None:
    lines = [
        {"kind": "reminder", "party": "patient", "channels": ["email"], "minutes": -60},
        {"kind": "thanks", "party": "patient", "channels": ["email"], "minutes": 60},
    ]
    async with database.transaction() as db:
        await db.execute(
            "INSERT INTO notification_schedules (provider_id, service_id, lines) "
            "VALUES ($1, $2, $3)",
            PROVIDER,
            appointment.service_id,
            lines,
        )

    await tell(appointment, an_appointment(BookingConfirmed, start=appointment.start))

    own = await later_jobs(appointment_id=appointment.id)
    assert [(row["kind"], row["due_at"]) for row in own] == [
        ("reminder", appointment.start - HOUR),
        ("thanks", appointment.end + HOUR),
    ]
    assert len(await later_jobs()) == 4

    await tell(moved_on(appointment, BookingCompleted))
    own = await later_jobs(appointment_id=appointment.id)
    assert [(row["status"], row["appointment_status"]) for row in own] == [
        ("withdrawn", "confirmed"),
        ("queued", "completed"),
    ]

    await tell(moved_on(moved_on(appointment, BookingCompleted), BookingNoShow))
    own = await later_jobs(appointment_id=appointment.id)
    assert {row["status"] for row in own} == {"withdrawn"}


async def test_wishes_that_are_known_are_followed(
    tell: Tell, later_jobs: Rows, database: Database, appointment: AppointmentEvent
) -> None:
    await wish(database, PATIENT, reminder_minutes=(90,))

    await tell(appointment)

    [planned] = await later_jobs()
    assert planned["due_at"] == appointment.start - 1.5 * HOUR


async def test_a_profile_that_arrives_later_plans_anew(
    tell: Tell, later_jobs: Rows, events: Events, appointment: AppointmentEvent
) -> None:
    await tell(appointment)

    no_mail = CommunicationPreferences(email=False)
    await tell(a_patient(version=2, phone="+302101234567", communication_preferences=no_mail))

    queued = await later_jobs(status="queued")
    assert [(row["channel"], row["fallback"]) for row in queued] == [("sms", [])]
    assert [row["last_error"] for row in await later_jobs(status="withdrawn")] == [
        "not wanted any more"
    ]

    await tell(a_patient(version=3))
    queued = await later_jobs(status="queued")
    assert [(row["channel"], row["fallback"]) for row in queued] == [
        ("email", []),
        ("sms", ["email"]),
    ]
    *both, anew = [event.channel for event in await events()]
    assert (sorted(both), anew) == (["email", "sms"], "email")


async def test_what_was_withdrawn_is_planned_again_whatever_was_noted_of_it(
    tell: Tell, later_jobs: Rows, database: Database, appointment: AppointmentEvent
) -> None:
    await tell(appointment)
    no_mail = CommunicationPreferences(email=False)
    await tell(a_patient(version=2, communication_preferences=no_mail))
    async with database.transaction() as db:
        await db.execute("UPDATE notification_jobs SET last_error = 'x' WHERE status = 'withdrawn'")

    await tell(a_patient(version=3))

    again = await later_jobs()
    assert {(row["status"], row["last_error"]) for row in again} == {("queued", None)}


async def test_a_wish_that_saw_the_appointment_before_its_end_brings_nothing_back(
    tell: Tell, later_jobs: Rows, database: Database, appointment: AppointmentEvent
) -> None:
    await tell(appointment)
    before = About(id=appointment.id, version=appointment.version, status=appointment.status)
    seen = tellings_later(
        before,
        Facts.of(appointment),
        own=None,
        recipients={Party.PATIENT: Recipient()},
        now=datetime.now(UTC),
    )
    await tell(moved_on(appointment, BookingCancelled))

    async with database.transaction() as db:
        await plan(db, seen, now=datetime.now(UTC))

    assert len(seen) == 2
    assert [row["status"] for row in await later_jobs()] == ["withdrawn"] * 2


async def test_news_that_was_withdrawn_is_not_told_later(
    tell: Tell, jobs: Rows, appointment: AppointmentEvent
) -> None:
    await tell(a_provider(), appointment, ProviderDeleted(id=PROVIDER, version=2))

    await tell(
        a_provider(version=3), appointment.model_copy(update={"version": appointment.version + 1})
    )

    assert [(row["party"], row["status"]) for row in await jobs()] == [
        ("patient", "queued"),
        ("provider", "withdrawn"),
    ]


async def make_due(database: Database) -> None:
    async with database.transaction() as db:
        await db.execute("UPDATE notification_jobs SET due_at = now() WHERE kind = 'reminder'")


@pytest.mark.usefixtures("known_people")
async def test_a_reminder_leaves_and_says_so_and_goes_by_mail_where_no_sms_can(
    tell: Tell,
    deliver_all: Any,
    mail_host: MailHost,
    later_jobs: Rows,
    events: Events,
    database: Database,
    appointment: AppointmentEvent,
) -> None:
    await tell(appointment)
    await make_due(database)

    await deliver_all(await later_jobs())

    reminders = [
        mail
        for mail in mail_host.to(PATIENT_EMAIL)
        if mail.message["Subject"] == "Reminder of your appointment"
    ]
    assert len(reminders) == 2
    assert {row["status"] for row in await later_jobs()} == {"sent"}
    announced = {event.type for event in await events()}
    assert announced == {
        "notification.reminder_scheduled",
        "notification.reminder_sent",
        "notification.delivered",
    }
    sent = [event for event in await events() if event.type == "notification.reminder_sent"]
    assert [event.channel for event in sent] == ["email", "email"]
    assert {event.notification_id for event in sent} == {row["id"] for row in await later_jobs()}


@pytest.mark.usefixtures("known_people")
async def test_a_reminder_that_cannot_be_sent_says_so(
    tell: Tell,
    deliver_all: Any,
    mail_host: MailHost,
    later_jobs: Rows,
    events: Events,
    database: Database,
    appointment: AppointmentEvent,
) -> None:
    mail_host.recipient_reply[PATIENT_EMAIL] = ["550 no such user"] * 3
    await tell(appointment)
    await make_due(database)

    await deliver_all(await later_jobs())

    failed = [event for event in await events() if event.type.endswith("failed")]
    assert sorted(event.type for event in failed) == [
        "notification.failed",
        "notification.reminder_failed",
        "notification.reminder_failed",
    ]
    assert {event.reason for event in failed} == {"refused"}


async def test_what_nobody_could_send_in_time_fails_as_an_event(
    tell: Tell, events: Events, database: Database, appointment: AppointmentEvent
) -> None:
    await tell(appointment)
    async with database.transaction() as db:
        await db.execute("UPDATE notification_jobs SET expires_at = now() WHERE kind = 'reminder'")
        await end_expired(db)

    failed = [event for event in await events() if event.type == "notification.reminder_failed"]
    assert [event.reason for event in failed] == ["too_late"] * 2


@pytest.mark.usefixtures("known_people")
async def test_what_is_late_in_quiet_hours_waits_for_their_end(
    tell: Tell,
    make_sender: MakeSender,
    running: Running,
    later_jobs: Rows,
    until: Until,
    mail_host: MailHost,
    database: Database,
    appointment: AppointmentEvent,
) -> None:
    await tell(appointment)
    await make_due(database)
    now = datetime.now(UTC)
    quiet = [f"{now - 2 * HOUR:%H:%M}", f"{now + 2 * HOUR:%H:%M}"]
    async with database.transaction() as db:
        await db.execute(
            "INSERT INTO notification_preferences (user_id, data) VALUES ($1, $2)",
            PATIENT,
            {"quiet": quiet, "timezone": "UTC"},
        )

    async def both_wait() -> bool:
        return [row["last_error"] for row in await later_jobs()] == ["quiet hours"] * 2

    async with running(make_sender().run()):
        await until(both_wait)
        await until(lambda: len(mail_host.mails) == 2)  # the news itself is not kept back

    for row in await later_jobs():
        assert HOUR < row["due_at"] - now <= 2 * HOUR


async def test_a_provider_hears_of_conflicts_and_broken_calendars_once(
    tell: Tell, deliver_all: Any, mail_host: MailHost
) -> None:
    await tell(a_provider())
    conflict, broken = a_conflict(), a_broken_calendar()

    await tell(conflict, conflict, broken, broken, a_broken_calendar(version=2))
    await deliver_all()

    subjects = [mail.message["Subject"] for mail in mail_host.to(PROVIDER_EMAIL)]
    assert sorted(subjects) == ["Appointments outside your hours", "Your calendar is disconnected"]
    texts = "".join(mail.text for mail in mail_host.mails)
    assert "has put 1 appointment outside" in texts
    assert "(Google Calendar)" in texts


async def test_a_calendar_that_works_again_needs_no_word(tell: Tell, jobs: Rows) -> None:
    await tell(a_broken_calendar(version=1), a_working_calendar(version=2))
    assert {row["status"] for row in await jobs()} == {"withdrawn"}

    await tell(a_broken_calendar(version=1))  # late
    assert not await jobs(status="queued")

    await tell(a_broken_calendar(version=3))
    assert await jobs(status="queued")

    gone = CalendarConnectionDeleted(id=CALENDAR, version=4, provider_id=PROVIDER, kind="google")
    await tell(gone, a_broken_calendar(version=4, id=uuid4()))
    assert {row["payload"]["connection_id"] for row in await jobs(status="queued")} != {
        str(CALENDAR)
    }


@pytest.mark.usefixtures("known_people")
async def test_no_reminder_leaves_after_many_cancellations_at_once(
    tell: Tell,
    make_sender: MakeSender,
    running: Running,
    until: Until,
    mail_host: MailHost,
    later_jobs: Rows,
    database: Database,
) -> None:
    """Also of those that senders have in hand already: their events have withdrawn nothing yet."""
    appointments = [an_appointment(BookingConfirmed) for _ in range(60)]
    await tell(*appointments)
    async with database.transaction() as db:
        await db.execute("DELETE FROM notification_jobs WHERE kind <> 'reminder'")
        await db.execute("UPDATE notification_jobs SET due_at = now() WHERE kind = 'reminder'")
    mail_host.welcome.clear()

    async def in_hand() -> int:
        return len(await later_jobs(status="sending"))

    async def all_ended() -> bool:
        left = [row for row in await later_jobs() if row["ended_at"] is None]
        return not left

    async with running(*(make_sender().run() for _ in range(3))):
        await until(lambda: mail_host.greeted >= 10)
        assert await in_hand() >= 10
        await tell(*(moved_on(each, BookingCancelled) for each in appointments))
        mail_host.welcome.set()
        await until(all_ended)

    subjects = [mail.message["Subject"] for mail in mail_host.mails]
    assert "Reminder of your appointment" not in subjects
    assert {row["status"] for row in await later_jobs()} == {"withdrawn"}


async def test_what_is_old_is_forgotten_and_nothing_else(
    tell: Tell, deliver_all: Any, jobs: Rows, later_jobs: Rows, database: Database
) -> None:
    await tell(a_patient(), a_provider(), an_appointment(BookingConfirmed))
    await deliver_all()
    old = an_appointment(BookingConfirmed)
    await tell(old)
    await deliver_all()
    async with database.transaction() as db:
        await db.execute(
            "UPDATE notification_jobs SET ended_at = now() - interval '91 days' "
            "WHERE appointment_id = $1 AND ended_at IS NOT NULL",
            old.id,
        )

    async with database.transaction() as db:
        assert not await forget_old(db)

    assert not await jobs(appointment_id=old.id)
    assert len(await later_jobs(appointment_id=old.id)) == 2
    assert len(await jobs()) == 2
    async with database.reading() as db:
        attempts = "SELECT count(*) FROM notification_deliveries WHERE channel = 'email'"
        assert await db.fetchval(attempts) == 2


async def test_what_the_first_release_was_told_of_is_completed_by_a_replay(
    tell: Tell, database: Database, jobs: Rows, later_jobs: Rows
) -> None:
    appointment = an_appointment(BookingConfirmed)
    await tell(a_patient(), a_provider(), appointment)
    planned = [job["dedupe_key"] for job in await later_jobs()]
    async with database.transaction() as db:
        await db.execute(
            "UPDATE appointments "
            "SET facts = NULL, patient_id = NULL, provider_id = NULL, ends_at = NULL"
        )
        await db.execute("DELETE FROM notification_jobs WHERE due_at > now()")

    await tell(appointment)

    assert [job["dedupe_key"] for job in await later_jobs()] == planned != []
    assert len(await jobs()) == 2, "nobody is told twice that it is confirmed"
