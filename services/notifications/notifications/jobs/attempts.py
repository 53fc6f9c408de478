"""Attempts begin and end; each is recorded before anything is sent.

Many at once are one statement, with nothing on its way meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from notifications import announcements
from notifications.channels import Message
from notifications.domain.job import Job, JobStatus, Objection, Outcome, job_after
from shared.db import Connection
from shared.events.notification import NotificationEvent
from shared.ids import new_id
from shared.messaging import outbox

_EVENT = "(id uuid, type text, subject text, sequence bigint, traceparent text, data jsonb)"
_ANNOUNCE = f"""
    INSERT INTO outbox (id, type, subject, sequence, traceparent, data)
    SELECT e.id, e.type, e.subject, (extract(epoch FROM now()) * 1000000)::bigint,
        decided.traceparent, jsonb_set(e.data, '{{at}}', to_jsonb(now()))
    FROM decided, LATERAL jsonb_to_record(
        CASE becomes WHEN 'sent' THEN sent WHEN 'failed' THEN failed END
    ) AS e {_EVENT}
    WHERE e.id IS NOT NULL
"""
"""Events of what has ended, which it was by the database's clock."""

_BEGIN = """
WITH asked AS (
    SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS asked (job_id, id, message_id)
), linked AS (
    INSERT INTO unsubscribe_links (token_hash, user_id, category)
    SELECT DISTINCT * FROM unnest($5::bytea[], $6::uuid[], $7::text[])
    ON CONFLICT DO NOTHING
), looked AS (
    SELECT asked.*, j.appointment_status IS NOT DISTINCT FROM a.status AS is_true,
        coalesce('the appointment is ' || a.status, 'the appointment is unknown') AS why_not
    FROM asked JOIN notification_jobs j ON j.id = asked.job_id
    LEFT JOIN appointments a ON a.id = j.appointment_id
    WHERE j.locked_by = $1 AND j.status = 'sending'
    FOR UPDATE OF j
), begun AS (
    UPDATE notification_jobs j
    SET attempts = attempts + is_true::integer,
        status = CASE WHEN is_true THEN 'sending' ELSE 'withdrawn' END,
        locked_by = CASE WHEN is_true THEN locked_by END,
        locked_until = CASE WHEN is_true THEN locked_until END,
        ended_at = CASE WHEN is_true THEN NULL ELSE now() END,
        last_error = CASE WHEN is_true THEN last_error ELSE why_not END
    FROM looked WHERE j.id = looked.job_id
    RETURNING looked.id, j.id AS job_id, j.recipient_id, j.attempts, j.channel, looked.message_id,
        is_true
)
INSERT INTO notification_deliveries (id, job_id, recipient_id, attempt, channel, message_id)
SELECT id, job_id, recipient_id, attempts, channel, message_id FROM begun WHERE is_true
RETURNING id, job_id, attempt
"""

_END = f"""
WITH given AS (
    SELECT * FROM jsonb_to_recordset($2) AS given (id uuid, job_id uuid, status text,
        response text, provider_id text, becomes text, pause float, sent jsonb, failed jsonb)
), ended AS (
    UPDATE notification_deliveries d
    SET status = given.status, response = given.response, provider_id = given.provider_id,
        finished_at = clock_timestamp()
    FROM given
    -- PostgreSQL takes every JSON for a hundred rows, and would read the whole table for them.
    WHERE d.id = given.id AND d.id = ANY(ARRAY(SELECT id FROM given))
), decided AS (
    SELECT j.id, given.response, given.pause, given.sent, given.failed, j.traceparent,
        becomes = 'failed' AND j.fallback <> '{{}}' AND now() < j.expires_at AS moves_on,
        CASE
            WHEN becomes = 'queued' AND now() + make_interval(secs => pause) >= j.expires_at
                THEN 'failed'
            WHEN becomes = 'failed' AND j.fallback <> '{{}}' AND now() < j.expires_at THEN 'queued'
            ELSE becomes
        END AS becomes
    FROM notification_jobs j JOIN given ON j.id = given.job_id
    WHERE j.id = ANY(ARRAY(SELECT job_id FROM given))
        AND (j.status = 'sending' AND j.locked_by = $1
            OR given.becomes = 'sent' AND j.status <> 'sent')
    ORDER BY j.id FOR UPDATE OF j
), announced AS ({_ANNOUNCE})
UPDATE notification_jobs j
SET status = becomes, locked_by = NULL, locked_until = NULL,
    channel = CASE WHEN moves_on THEN fallback[1] ELSE channel END,
    fallback = CASE WHEN moves_on THEN fallback[2:] ELSE fallback END,
    due_at = CASE WHEN moves_on THEN now()
        WHEN becomes = 'queued' THEN now() + make_interval(secs => pause) ELSE due_at END,
    ended_at = CASE WHEN becomes = 'queued' THEN NULL ELSE clock_timestamp() END,
    last_error = CASE WHEN becomes = 'sent' THEN NULL ELSE response END
FROM decided WHERE j.id = decided.id
"""

_SETTLE = f"""
WITH decided AS (
    SELECT id, traceparent, $3 AS becomes, $7::jsonb AS sent, $7::jsonb AS failed
    FROM notification_jobs WHERE id = $1 AND locked_by = $2 AND status = 'sending'
    FOR UPDATE
), announced AS ({_ANNOUNCE})
UPDATE notification_jobs j
SET status = becomes, locked_by = NULL, locked_until = NULL,
    last_error = concat_ws(': ', $4::text, CASE WHEN becomes = 'failed' THEN last_error END),
    channel = CASE WHEN $6 THEN fallback[1] ELSE channel END,
    fallback = CASE WHEN $6 THEN fallback[2:] ELSE fallback END,
    waits_for_contact = becomes = 'queued' AND $5::timestamptz IS NULL AND NOT $6,
    due_at = CASE WHEN becomes <> 'queued' OR $6 THEN due_at
        ELSE coalesce($5, now() + $8::interval) END,
    ended_at = CASE WHEN becomes = 'queued' THEN NULL ELSE now() END
FROM decided WHERE j.id = decided.id
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An attempt that is under way; it is recorded before anything is sent."""

    id: UUID
    job: Job
    attempt: int


@dataclass(frozen=True, slots=True)
class Ended:
    delivery: Delivery
    outcome: Outcome
    pause: timedelta
    """Until another try, should one make sense."""


async def begin(
    db: Connection, worker: UUID, messages: Sequence[tuple[Job, Message]]
) -> list[Delivery | None]:
    """Record that messages are about to leave, and look at each job for the last time: None for one
    that must not leave, because its lease is lost or its appointment has moved on, which withdraws
    it."""
    jobs = {job.id: job for job, _ in messages}
    links = [message.unsubscribe for _, message in messages if message.unsubscribe]
    rows = await db.fetch(
        _BEGIN,
        worker,
        list(jobs),
        [new_id() for _ in messages],
        [message.id for _, message in messages],
        [link.token_hash for link in links],
        [link.user_id for link in links],
        [link.category.value for link in links],
    )
    begun = {
        row["job_id"]: Delivery(row["id"], jobs[row["job_id"]], row["attempt"]) for row in rows
    }
    return [begun.get(id_) for id_ in jobs]


async def end(db: Connection, worker: UUID, attempts: Sequence[Ended]) -> list[None]:
    """Record how they ended, and what becomes of their jobs: another try after the pause if that
    is early enough, or over the next channel. Sent is sent, also when the lease was lost."""
    await db.execute(_END, worker, [_ended_row(each) for each in attempts])
    return [None for _ in attempts]


async def settle(
    db: Connection, worker: UUID, job: Job, against: Objection, *, pause: timedelta
) -> None:
    """End the job without an attempt, or have it wait, or go over its next channel."""
    event = announcements.failed(job, against.code) if against.code else None
    await db.execute(
        _SETTLE,
        job.id,
        worker,
        against.becomes.value,
        against.reason,
        against.until,
        against.tries_next_channel,
        _event_row(event),
        pause,
    )


def _ended_row(each: Ended) -> dict[str, Any]:
    outcome, job = each.outcome, each.delivery.job
    becomes = job_after(outcome.status)
    is_sent = becomes is JobStatus.SENT
    reason = announcements.REASONS.get(outcome.status, "unknown")
    return {
        "id": each.delivery.id,
        "job_id": job.id,
        "status": outcome.status.value,
        "response": outcome.response,
        "provider_id": outcome.provider_id,
        "becomes": becomes.value,
        "pause": each.pause.total_seconds(),
        "sent": _event_row(announcements.sent(job)) if is_sent else None,
        "failed": None if is_sent else _event_row(announcements.failed(job, reason)),
    }


def _event_row(event: NotificationEvent | None) -> dict[str, Any] | None:
    return outbox.row(event) if event else None
