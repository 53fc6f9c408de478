"""What events do to jobs; always part of the event's transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from notifications import announcements
from notifications.domain.news import Party
from notifications.domain.schedule import ANCHORS
from notifications.domain.tellings import About, Telling
from shared.db import Connection
from shared.messaging import outbox
from shared.observability import current_traceparent

WAKE_CHANNEL = "notification_jobs"

_LATER = [news.value for news in ANCHORS]

_PLAN = f"""
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1) AS given (id uuid, dedupe_key text, kind text,
        channel text, fallback text[], party text, recipient_id uuid, appointment_id uuid,
        appointment_version integer, appointment_status text, payload jsonb, due_at timestamptz,
        expires_at timestamptz, traceparent text, event jsonb)
), before AS (
    -- LIMIT keeps the plan to the index, also one that was made while the table was empty.
    SELECT given.dedupe_key, queued.due_at FROM given, LATERAL (
        SELECT j.due_at FROM notification_jobs j
        WHERE j.dedupe_key = given.dedupe_key AND j.status = 'queued' LIMIT 1
    ) queued
), planned AS (
    INSERT INTO notification_jobs AS j (id, dedupe_key, kind, channel, fallback, party,
        recipient_id, appointment_id, appointment_version, appointment_status, payload, due_at,
        expires_at, traceparent)
    SELECT id, dedupe_key, kind, channel, fallback, party, recipient_id, appointment_id,
        appointment_version, appointment_status, payload, coalesce(due_at, now()),
        expires_at, traceparent
    FROM given WHERE expires_at > now() ORDER BY dedupe_key
    ON CONFLICT (dedupe_key) DO UPDATE
    SET channel = excluded.channel, fallback = excluded.fallback,
        appointment_version = excluded.appointment_version,
        appointment_status = excluded.appointment_status, payload = excluded.payload,
        expires_at = excluded.expires_at,
        due_at = CASE WHEN j.kind = ANY($2::text[]) THEN excluded.due_at ELSE j.due_at END,
        status = 'queued', ended_at = NULL, last_error = NULL
    WHERE j.status = 'queued' OR j.status = 'withdrawn' AND j.kind = ANY($2::text[])
        AND j.appointment_version <= excluded.appointment_version
    RETURNING j.id, j.dedupe_key, j.due_at
), withdrawn AS (
    UPDATE notification_jobs
    SET status = 'withdrawn', ended_at = now(),
        last_error = 'the appointment is ' || ($4::jsonb -> appointment_id::text ->> 'status'),
        appointment_version = ($4::jsonb -> appointment_id::text ->> 'version')::integer
    WHERE appointment_id = ANY($3::uuid[]) AND status = 'queued'
        AND appointment_status <> $4::jsonb -> appointment_id::text ->> 'status'
        AND dedupe_key NOT IN (SELECT dedupe_key FROM given)
), announced AS (
    INSERT INTO outbox (id, type, subject, sequence, traceparent, data)
    SELECT e.id, e.type, e.subject, e.sequence, e.traceparent, e.data
    FROM given JOIN planned USING (dedupe_key) LEFT JOIN before USING (dedupe_key),
        jsonb_populate_record(NULL::outbox, given.event) e
    WHERE given.event IS NOT NULL AND before.due_at IS DISTINCT FROM planned.due_at
)
SELECT pg_notify('{WAKE_CHANNEL}', '')
WHERE EXISTS (SELECT FROM planned WHERE due_at <= now())
"""
"""One statement, because every event of an appointment runs it. The call goes out once this is
committed; it costs little where commits are not thousands a second."""

Job = Mapping[str, Any]
"""A telling as ``save`` takes it; it belongs to the story in which it was made."""


async def plan(db: Connection, tellings: Sequence[Telling], *, now: datetime) -> None:
    """``save`` for what follows from one event."""
    await save(db, [job_of(telling, now) for telling in tellings])


async def save(db: Connection, jobs: Sequence[Job], *, about: Collection[About] = ()) -> None:
    """Have each told once, however often this is asked for; what is of no use by now, never.

    What is queued already is told as it is planned now, and so is what is told later and was
    withdrawn, by no newer version of its appointment: people change their wishes. What is queued
    for another status of the appointments ``about`` is not said any more. Later tellings make
    reminders known as events. No two of the jobs may have the same key.
    """
    await db.execute(
        _PLAN,
        jobs,
        _LATER,
        [each.id for each in about],
        {str(each.id): {"status": each.status, "version": each.version} for each in about},
    )


def job_of(telling: Telling, now: datetime) -> Job:
    event = announcements.scheduled(telling, now)
    about = telling.about
    return {
        "id": telling.id,
        "dedupe_key": telling.dedupe_key,
        "kind": telling.news.value,
        "channel": telling.way[0].value,
        "fallback": [each.value for each in telling.way[1:]],
        "party": telling.party.value,
        "recipient_id": telling.recipient_id,
        "appointment_id": about and about.id,
        "appointment_version": about and about.version,
        "appointment_status": about and about.status,
        "payload": telling.facts.stored,
        "due_at": telling.due_at,
        "expires_at": telling.expires_at,
        "traceparent": current_traceparent(),
        "event": event and outbox.row(event),
    }


async def withdraw_unwanted(
    db: Connection, party: Party, person_id: UUID, wanted: Sequence[Telling]
) -> None:
    """Of what is queued for later, the person wants no more than this; it may be planned again."""
    await db.execute(
        """
        UPDATE notification_jobs
        SET status = 'withdrawn', ended_at = now(), last_error = 'not wanted any more'
        WHERE recipient_id = $2 AND party = $1 AND status = 'queued' AND kind = ANY($3::text[])
            AND dedupe_key <> ALL($4::text[]) AND appointment_id IS NOT NULL
        """,
        party.value,
        person_id,
        _LATER,
        [each.dedupe_key for each in wanted],
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


async def withdraw(db: Connection, dedupe_prefix: str, *, recipient_id: UUID, reason: str) -> None:
    """What begins so and is still queued has become pointless."""
    await db.execute(
        """
        UPDATE notification_jobs SET status = 'withdrawn', ended_at = now(), last_error = $3
        WHERE recipient_id = $2 AND status = 'queued' AND starts_with(dedupe_key, $1)
        """,
        dedupe_prefix,
        recipient_id,
        reason,
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
