"""What notifications tells of reminders stands in the appointment's trail, and changes nothing."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from bookings.audit import verify
from bookings.consumers import HANDLERS
from bookings.use_cases.hold import hold_timeslot
from shared.db import Database
from shared.events.notification import (
    NotificationEvent,
    ReminderFailed,
    ReminderScheduled,
    ReminderSent,
)

from .builders import a_clinic, a_wish, an_event


def told(kind: type[NotificationEvent], **given: Any) -> NotificationEvent:
    values = {
        "notification_id": uuid4(),
        "kind": "reminder",
        "party": "patient",
        "recipient_id": uuid4(),
        "channel": "sms",
        "due_at": datetime(2026, 11, 23, 7, 30, tzinfo=UTC),
        "at": datetime(2026, 11, 20, 7, 30, tzinfo=UTC),
    }
    return kind(**values | given)


async def receive(database: Database, *facts: NotificationEvent) -> None:
    for fact in facts:
        async with database.transaction() as db:
            await HANDLERS[type(fact)](db, an_event(fact))


async def test_reminders_are_entered_and_nothing_else_changes(database: Database) -> None:
    wish = a_wish(await a_clinic(database))
    async with database.autocommit() as db:
        held, _ = await hold_timeslot(db, wish)
    about: dict[str, Any] = {"appointment_id": held.id}

    await receive(
        database,
        told(ReminderScheduled, **about),
        told(ReminderSent, **about),
        told(ReminderFailed, reason="refused", **about),
    )

    async with database.reading() as db:
        entries = await db.fetch(
            "SELECT action, actor_type, metadata FROM audit_events ORDER BY sequence"
        )
        assert [entry["action"] for entry in entries] == [
            "held_created",
            "reminder_scheduled",
            "reminder_sent",
            "reminder_failed",
        ]
        assert {entry["actor_type"] for entry in entries[1:]} == {"system"}
        assert entries[1]["metadata"].keys() == {"notificationId", "party", "channel", "dueAt"}
        assert entries[3]["metadata"]["reason"] == "refused"
        assert await db.fetchval("SELECT count(*) FROM outbox") == 1
        assert await db.fetchval("SELECT version FROM appointments") == held.version
    async with database.transaction() as db:
        report = await verify(db)
    assert (report.appointments, report.entries) == (1, 4)


async def test_a_reminder_of_nothing_that_is_known_is_read_over(database: Database) -> None:
    await receive(
        database,
        told(ReminderSent, appointment_id=uuid4()),
        told(ReminderSent, appointment_id=None),
    )

    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM audit_events") == 0
