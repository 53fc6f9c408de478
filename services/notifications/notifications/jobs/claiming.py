"""Due jobs into a worker's hands, with all that is needed to send them."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import asyncpg

from notifications.domain.job import Contact, Job
from notifications.domain.news import News, Party
from notifications.domain.preferences import Preferences
from notifications.jobs.planning import WAKE_CHANNEL
from shared.db import Connection

_KINDS = [news.value for news in News]
_CLAIM = """
WITH taken AS (
    UPDATE notification_jobs
    SET status = 'sending', locked_by = $1, locked_until = now() + $5::interval
    WHERE id IN (
        SELECT id FROM notification_jobs
        WHERE status = 'queued' AND due_at <= now() AND kind = ANY($6::text[])
            AND (channel = ANY($2::text[]) OR channel = ANY($3::text[]) AND fallback <> '{}')
        ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
    )
    RETURNING *
)
SELECT t.id, t.kind, t.party, t.channel, t.fallback, t.recipient_id, t.payload,
    t.appointment_id, t.appointment_version, t.appointment_status, t.due_at, t.expires_at,
    t.traceparent, now() AS now, r.person_id AS contact_id, r.name, r.email, r.phone, r.language,
    r.timezone, r.is_erased, p.data AS preferences,
    unknown.attempts AS unknown_attempts, unknown.since AS unknown_since,
    -- As joins these could make PostgreSQL read all appointments for a handful of jobs.
    (SELECT status FROM appointments WHERE id = t.appointment_id) AS known_status,
    (SELECT version FROM appointments WHERE id = (t.payload ->> 'rescheduled_from')::uuid)
        AS replaced_version,
    (SELECT name FROM contacts
        WHERE party = 'patient' AND person_id = (t.payload ->> 'patient_id')::uuid) AS patient_name,
    CASE WHEN t.channel = 'push' THEN ARRAY(
        SELECT token FROM push_devices d WHERE d.user_id = t.recipient_id ORDER BY created_at
    ) ELSE '{}' END AS devices
FROM taken t
LEFT JOIN contacts r ON r.party = t.party AND r.person_id = t.recipient_id
LEFT JOIN notification_preferences p ON p.user_id = t.recipient_id
LEFT JOIN LATERAL (
    SELECT count(*) AS attempts, min(d.started_at) AS since FROM notification_deliveries d
    WHERE t.attempts > 0 AND d.job_id = t.id AND d.status = 'unknown'
) unknown ON true
"""


async def claim(
    db: Connection,
    worker: UUID,
    *,
    channels: Collection[str],
    off: Collection[str],
    limit: int,
    lease: timedelta,
) -> list[Job]:
    """Due jobs of these channels, the longest due first; nobody else gets the same.

    Of the channels that are ``off`` those that can go another way. What only a newer release knows
    how to tell is left to its workers.
    """
    rows = await db.fetch(_CLAIM, worker, list(channels), list(off), limit, lease, _KINDS)
    return [_job_of(row) for row in rows]


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


async def hand_back(db: Connection, worker: UUID, jobs: Collection[UUID]) -> None:
    """As if they had never been claimed; whoever else sends hears of it."""
    await db.execute(
        """
        WITH back AS (
            UPDATE notification_jobs SET status = 'queued', locked_by = NULL, locked_until = NULL
            WHERE id = ANY($2::uuid[]) AND locked_by = $1 AND status = 'sending'
            RETURNING id
        )
        SELECT pg_notify($3, '') WHERE EXISTS (SELECT FROM back)
        """,
        worker,
        list(jobs),
        WAKE_CHANNEL,
    )


def _job_of(row: asyncpg.Record) -> Job:
    return Job(
        id=row["id"],
        kind=row["kind"],
        party=Party(row["party"]),
        channel=row["channel"],
        fallback=tuple(row["fallback"]),
        recipient_id=row["recipient_id"],
        recipient=_contact_of(row),
        patient_name=row["patient_name"],
        stored=row["payload"],
        appointment_id=row["appointment_id"],
        version=row["appointment_version"],
        wanted_status=row["appointment_status"],
        appointment_status=row["known_status"],
        replaced_version=row["replaced_version"],
        now=row["now"],
        due_at=row["due_at"],
        expires_at=row["expires_at"],
        unknown_attempts=row["unknown_attempts"],
        unknown_since=row["unknown_since"],
        traceparent=row["traceparent"],
    )


def _contact_of(row: asyncpg.Record) -> Contact | None:
    if row["contact_id"] is None:
        return None
    preferences = Preferences.of(row["preferences"])
    return Contact(
        name=row["name"],
        email=row["email"],
        phone=row["phone"],
        language=preferences.language or row["language"],
        timezone=preferences.timezone or row["timezone"],
        is_erased=row["is_erased"],
        devices=tuple(row["devices"]),
        quiet=preferences.quiet,
    )
