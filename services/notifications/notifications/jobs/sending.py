"""What senders do to jobs: each change is one statement, with nothing on its way meanwhile."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from notifications.domain.facts import Facts
from notifications.domain.job import Contact, Job, Objection, Outcome, job_after
from notifications.domain.news import News, Party
from shared.db import Connection
from shared.ids import new_id


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that is this worker's until its lease ends."""

    id: UUID
    kind: str
    channel: str
    late_seconds: float
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """An attempt that is under way; it is recorded before anything is sent."""

    id: UUID
    attempt: int


async def claim(
    db: Connection, worker: UUID, *, channels: Collection[str], limit: int, lease: timedelta
) -> list[Claimed]:
    """Due jobs of these channels, the longest due first; nobody else gets the same."""
    rows = await db.fetch(
        """
        UPDATE notification_jobs
        SET status = 'sending', locked_by = $1, locked_until = now() + $4::interval
        WHERE id IN (
            SELECT id FROM notification_jobs
            WHERE status = 'queued' AND due_at <= now() AND channel = ANY($2::text[])
            ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
        )
        RETURNING id, kind, channel, traceparent,
            extract(epoch FROM now() - due_at)::float AS late_seconds
        """,
        worker,
        list(channels),
        limit,
        lease,
    )
    return [Claimed(**dict(row)) for row in rows]


async def renew(db: Connection, worker: UUID, jobs: Collection[UUID], *, lease: timedelta) -> None:
    """Keep the leases on jobs whose messages are still on their way."""
    await db.execute(
        """
        UPDATE notification_jobs SET locked_until = now() + $3::interval
        WHERE id = ANY($2::uuid[]) AND locked_by = $1 AND status = 'sending'
        """,
        worker,
        list(jobs),
        lease,
    )


async def look(db: Connection, worker: UUID, job_id: UUID) -> Job | None:
    """The job as things stand now; None when the lease is lost."""
    row = await db.fetchrow(
        """
        SELECT j.id, j.kind, j.party, j.payload, j.expires_at, j.appointment_status, now() AS now,
            a.status AS known_status, patient.name AS patient_name, r.person_id AS contact_id,
            r.name, r.email, r.phone, r.language, r.timezone, r.is_erased,
            (SELECT count(*) FROM notification_deliveries d
             WHERE d.job_id = j.id AND d.status = 'unknown') AS unknown_attempts
        FROM notification_jobs j
        LEFT JOIN appointments a ON a.id = j.appointment_id
        LEFT JOIN contacts r ON r.party = j.party AND r.person_id = j.recipient_id
        LEFT JOIN contacts patient ON patient.party = 'patient'
            AND patient.person_id = (j.payload ->> 'patient_id')::uuid
        WHERE j.id = $1 AND j.locked_by = $2 AND j.status = 'sending'
        """,
        job_id,
        worker,
    )
    if row is None:
        return None
    return Job(
        id=row["id"],
        news=News(row["kind"]),
        party=Party(row["party"]),
        facts=Facts.model_validate(row["payload"]),
        recipient=_contact_of(row),
        patient_name=row["patient_name"],
        now=row["now"],
        expires_at=row["expires_at"],
        wanted_status=row["appointment_status"],
        appointment_status=row["known_status"],
        unknown_attempts=row["unknown_attempts"],
    )


def _contact_of(row: asyncpg.Record) -> Contact | None:
    if row["contact_id"] is None:
        return None
    return Contact(
        name=row["name"],
        email=row["email"],
        phone=row["phone"],
        language=row["language"],
        timezone=row["timezone"],
        is_erased=row["is_erased"],
    )


async def begin_attempt(
    db: Connection, worker: UUID, job_id: UUID, *, message_id: str
) -> Delivery | None:
    """Record that a message is about to leave; None when the lease is lost, and it must not."""
    row = await db.fetchrow(
        """
        WITH job AS (
            UPDATE notification_jobs SET attempts = attempts + 1
            WHERE id = $1 AND locked_by = $2 AND status = 'sending'
            RETURNING id, recipient_id, attempts, channel
        )
        INSERT INTO notification_deliveries (id, job_id, recipient_id, attempt, channel, message_id)
        SELECT $3, id, recipient_id, attempts, channel, $4 FROM job
        RETURNING id, attempt
        """,
        job_id,
        worker,
        new_id(),
        message_id,
    )
    return None if row is None else Delivery(**dict(row))


async def end_attempt(
    db: Connection, worker: UUID, delivery: Delivery, outcome: Outcome, *, pause: timedelta
) -> None:
    """Record how it ended, and what becomes of the job: another try after ``pause`` if that is
    early enough. Sent is sent, also when the lease was lost meanwhile."""
    await db.execute(
        """
        WITH ended AS (
            UPDATE notification_deliveries
            SET status = $3, response = $4, finished_at = clock_timestamp()
            WHERE id = $1 RETURNING job_id
        ), decided AS (
            SELECT j.id, CASE WHEN $5 = 'queued' AND now() + $6::interval >= j.expires_at
                THEN 'failed' ELSE $5 END AS status
            FROM notification_jobs j JOIN ended ON j.id = ended.job_id
            WHERE (j.status = 'sending' AND j.locked_by = $2)
                OR ($5 = 'sent' AND j.status <> 'sent')
            FOR UPDATE OF j
        )
        UPDATE notification_jobs j
        SET status = decided.status, locked_by = NULL, locked_until = NULL,
            due_at = CASE WHEN decided.status = 'queued' THEN now() + $6::interval ELSE due_at END,
            ended_at = CASE WHEN decided.status = 'queued' THEN NULL ELSE clock_timestamp() END,
            last_error = CASE WHEN decided.status = 'sent' THEN NULL ELSE $4 END
        FROM decided WHERE j.id = decided.id
        """,
        delivery.id,
        worker,
        outcome.status.value,
        outcome.response,
        job_after(outcome.status).value,
        pause,
    )


async def settle(
    db: Connection, worker: UUID, job_id: UUID, against: Objection, *, pause: timedelta
) -> None:
    """End the job without an attempt, or have it wait for its recipient's contact details."""
    await db.execute(
        """
        UPDATE notification_jobs
        SET status = $3, locked_by = NULL, locked_until = NULL,
            last_error = concat_ws(': ', $4::text, CASE WHEN $3 = 'failed' THEN last_error END),
            waits_for_contact = $3 = 'queued',
            due_at = CASE WHEN $3 = 'queued' THEN now() + $5::interval ELSE due_at END,
            ended_at = CASE WHEN $3 = 'queued' THEN NULL ELSE now() END
        WHERE id = $1 AND locked_by = $2 AND status = 'sending'
        """,
        job_id,
        worker,
        against.becomes.value,
        against.reason,
        pause,
    )


async def give_back(db: Connection, worker: UUID, job_id: UUID, *, reason: str) -> None:
    """As if it had never been claimed: the channel is down, and that costs the job no attempt."""
    await db.execute(
        """
        UPDATE notification_jobs
        SET status = 'queued', locked_by = NULL, locked_until = NULL, last_error = $3
        WHERE id = $1 AND locked_by = $2 AND status = 'sending'
        """,
        job_id,
        worker,
        reason,
    )


async def take_back_stalled(db: Connection) -> None:
    """Queue again what a worker had in hand that is gone; it may have been sent or not.

    What takes its worker down again and again ends when it has become useless.
    """
    await db.execute(
        """
        WITH stalled AS (
            UPDATE notification_jobs
            SET status = CASE WHEN expires_at > now() THEN 'queued' ELSE 'failed' END,
                ended_at = CASE WHEN expires_at > now() THEN NULL ELSE now() END,
                last_error = 'the worker is gone', locked_by = NULL, locked_until = NULL
            WHERE status = 'sending' AND locked_until < now()
            RETURNING id
        )
        UPDATE notification_deliveries d
        SET status = 'unknown', response = 'the worker is gone', finished_at = now()
        FROM stalled WHERE d.job_id = stalled.id AND d.status = 'sending'
        """
    )


async def end_expired(db: Connection) -> None:
    """Fail what nobody has sent in time, for whatever reason it waited."""
    await db.execute(
        """
        UPDATE notification_jobs
        SET status = 'failed', ended_at = now(),
            last_error = concat_ws(': ', 'too late to be of use', last_error)
        WHERE status = 'queued' AND expires_at <= now()
        """
    )
