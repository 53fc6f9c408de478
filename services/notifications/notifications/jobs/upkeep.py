"""What timers do to jobs: nothing stays behind when a worker dies, and nothing for ever."""

from datetime import timedelta

from notifications import announcements
from shared.db import Connection
from shared.messaging import outbox

RETENTION = timedelta(days=90)
"""For jobs that have ended, their deliveries, and what is in people's inboxes."""

_ENDED = "id, kind, party, recipient_id, channel, appointment_id, due_at, now() AS now"
_CHUNK = 1000


async def take_back_stalled(db: Connection) -> None:
    """Queue again what a worker had in hand that is gone; it may have been sent or not.

    What takes its worker down again and again ends when it has become useless.
    """
    rows = await db.fetch(
        f"""
        WITH stalled AS (
            UPDATE notification_jobs
            SET status = CASE WHEN expires_at > now() THEN 'queued' ELSE 'failed' END,
                ended_at = CASE WHEN expires_at > now() THEN NULL ELSE now() END,
                last_error = 'the worker is gone', locked_by = NULL, locked_until = NULL
            WHERE status = 'sending' AND locked_until < now()
            RETURNING *
        ), unknown AS (
            UPDATE notification_deliveries d
            SET status = 'unknown', response = 'the worker is gone', finished_at = now()
            FROM stalled WHERE d.job_id = stalled.id AND d.status = 'sending'
        )
        SELECT {_ENDED} FROM stalled WHERE status = 'failed'
        """
    )
    await outbox.put(
        db, *filter(None, [announcements.failed_row(row, reason="unknown") for row in rows])
    )


async def end_expired(db: Connection) -> bool:
    """Fail what nobody has sent in time, for whatever reason it waited; True when there is more."""
    rows = await db.fetch(
        f"""
        UPDATE notification_jobs
        SET status = 'failed', ended_at = now(),
            last_error = concat_ws(': ', 'too late to be of use', last_error)
        WHERE id IN (
            SELECT id FROM notification_jobs WHERE status = 'queued' AND expires_at <= now()
            ORDER BY expires_at LIMIT {_CHUNK} FOR UPDATE SKIP LOCKED
        )
        RETURNING {_ENDED}, waits_for_contact
        """
    )
    events = [
        announcements.failed_row(
            row, reason="unreachable" if row["waits_for_contact"] else "too_late"
        )
        for row in rows
    ]
    await outbox.put(db, *filter(None, events))
    return len(rows) == _CHUNK


async def forget_old(db: Connection, older_than: timedelta = RETENTION) -> bool:
    """Delete what has ended longer ago; True when there is more."""
    deleted = await db.fetchval(
        """
        WITH old AS (
            SELECT id FROM notification_jobs WHERE ended_at < now() - $1::interval
            ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ), attempts AS (
            DELETE FROM notification_deliveries USING old WHERE job_id = old.id
        ), jobs AS (
            DELETE FROM notification_jobs USING old WHERE notification_jobs.id = old.id
        ), told AS (
            DELETE FROM in_app_notifications WHERE id IN (
                SELECT id FROM in_app_notifications WHERE created_at < now() - $1::interval
                ORDER BY created_at LIMIT $2
            ) RETURNING id
        )
        SELECT greatest((SELECT count(*) FROM old), (SELECT count(*) FROM told))
        """,
        older_than,
        _CHUNK,
    )
    return bool(deleted >= _CHUNK)
