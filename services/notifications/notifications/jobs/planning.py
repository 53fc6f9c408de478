"""What events do to jobs; always part of the event's transaction."""

from collections.abc import Sequence
from uuid import UUID

from notifications.domain.news import Party, Telling
from shared.db import Connection
from shared.ids import new_id
from shared.observability import current_traceparent

WAKE_CHANNEL = "notification_jobs"


_PLAN = f"""
WITH planned AS (
    INSERT INTO notification_jobs (id, dedupe_key, kind, channel, party, recipient_id,
        appointment_id, appointment_version, appointment_status, payload, due_at, expires_at,
        traceparent)
    SELECT id, dedupe_key, kind, channel, party, recipient_id, appointment_id,
        appointment_version, appointment_status, payload, now(), expires_at, $2
    FROM jsonb_populate_recordset(NULL::notification_jobs, $1)
    WHERE expires_at > now()
    ON CONFLICT (dedupe_key) DO NOTHING
    RETURNING id
)
SELECT pg_notify('{WAKE_CHANNEL}', '') WHERE EXISTS (SELECT FROM planned)
"""
"""The call goes out once this is committed; it costs little where commits are not thousands a
second."""


async def plan(db: Connection, tellings: Sequence[Telling]) -> None:
    """Have each told once, however often this is asked for; what is of no use by now, never."""
    jobs = [
        {
            "id": new_id(),
            "dedupe_key": telling.dedupe_key,
            "kind": telling.news.value,
            "channel": telling.channel.value,
            "party": telling.party.value,
            "recipient_id": telling.recipient_id,
            "appointment_id": telling.appointment_id,
            "appointment_version": telling.appointment_version,
            "appointment_status": telling.appointment_status,
            "payload": telling.facts.as_json(),
            "expires_at": telling.expires_at,
        }
        for telling in tellings
    ]
    await db.execute(_PLAN, jobs, current_traceparent())


async def withdraw_outdated(db: Connection, appointment_id: UUID, status: str) -> None:
    """The appointment has ``status`` now: what is queued for another one is not said any more."""
    await db.execute(
        """
        UPDATE notification_jobs
        SET status = 'withdrawn', ended_at = now(), last_error = 'the appointment is ' || $2
        WHERE appointment_id = $1 AND appointment_status <> $2 AND status = 'queued'
        """,
        appointment_id,
        status,
    )


async def withdraw_all_for(db: Connection, party: Party, person_id: UUID) -> None:
    """The person is erased and gets nothing any more."""
    await db.execute(
        """
        UPDATE notification_jobs
        SET status = 'withdrawn', ended_at = now(), last_error = 'the recipient is erased'
        WHERE recipient_id = $2 AND party = $1 AND status = 'queued'
        """,
        party.value,
        person_id,
    )


async def hurry_for(db: Connection, party: Party, person_id: UUID) -> None:
    """What waited for the person's contact details is due now."""
    hurried = await db.execute(
        """
        UPDATE notification_jobs SET due_at = now(), waits_for_contact = false
        WHERE recipient_id = $2 AND party = $1 AND status = 'queued' AND waits_for_contact
        """,
        party.value,
        person_id,
    )
    if hurried != "UPDATE 0":
        await db.execute(f"NOTIFY {WAKE_CHANNEL}")
