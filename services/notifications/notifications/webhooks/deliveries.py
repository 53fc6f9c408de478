"""What deliverers do to deliveries: each change is one statement, with no call on its way."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from notifications.webhooks.disabling import Disabled
from notifications.webhooks.schedule import DISABLED_AFTER
from shared.db import Connection

MOST_AT_ONCE_TO_ONE = 3
_LOOKED_AT = 500


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is this worker's until its lease ends."""

    id: UUID
    endpoint_id: UUID
    attempts: int
    """With the one that is about to be made."""
    url: str
    secret: str
    old_secret: str | None
    """None when its time is over."""
    event_id: UUID
    type: str
    occurred_at: datetime
    position: int
    data: dict[str, Any]
    now: datetime


async def claim(db: Connection, worker: UUID, *, limit: int, lease: timedelta) -> list[Claimed]:
    """Due deliveries, the longest due first, of each endpoint a few; nobody else gets the same.

    A lease that has run out is taken over: it may have been delivered, which ``webhook-id`` tells
    the receiver.
    """
    rows = await db.fetch(
        """
        WITH due AS (
            SELECT id, due_at, row_number() OVER (PARTITION BY endpoint_id ORDER BY due_at) AS place
            FROM (
                SELECT id, endpoint_id, due_at FROM webhook_deliveries
                WHERE (status = 'queued' AND due_at <= now())
                    OR (status = 'sending' AND locked_until < now())
                ORDER BY due_at LIMIT $4
            ) AS first_due
        ), mine AS (
            SELECT id FROM webhook_deliveries
            WHERE id IN (SELECT id FROM due WHERE place <= $5 ORDER BY due_at LIMIT $2)
                AND (status = 'queued' OR (status = 'sending' AND locked_until < now()))
            FOR UPDATE SKIP LOCKED
        )
        UPDATE webhook_deliveries delivery
        SET status = 'sending', locked_by = $1, locked_until = now() + $3::interval,
            attempts = attempts + 1
        FROM mine, webhook_endpoints endpoint, webhook_events event
        WHERE delivery.id = mine.id AND endpoint.id = delivery.endpoint_id
            AND event.position = delivery.position
        RETURNING delivery.id, delivery.endpoint_id, delivery.attempts, endpoint.url,
            endpoint.secret,
            CASE WHEN endpoint.old_secret_until > now() THEN endpoint.old_secret END AS old_secret,
            event.id AS event_id, event.type, event.occurred_at, event.position, event.data,
            now() AS now
        """,
        worker,
        limit,
        lease,
        _LOOKED_AT,
        MOST_AT_ONCE_TO_ONE,
    )
    return [Claimed(**dict(row)) for row in rows]


async def succeed(db: Connection, worker: UUID, claimed: Claimed, *, status: int) -> None:
    """Delivered is delivered, also when the lease was lost meanwhile."""
    await db.execute(
        """
        WITH ended AS (
            UPDATE webhook_deliveries
            SET status = 'delivered', ended_at = now(), locked_by = NULL, locked_until = NULL,
                last_status = $2, last_error = NULL
            WHERE id = $1 AND (locked_by = $3 OR status <> 'delivered') RETURNING endpoint_id
        )
        UPDATE webhook_endpoints SET failing_since = NULL
        FROM ended WHERE id = endpoint_id AND failing_since IS NOT NULL
        """,
        claimed.id,
        status,
        worker,
    )


async def fail(
    db: Connection,
    worker: UUID,
    claimed: Claimed,
    *,
    status: int | None,
    error: str,
    pause: timedelta | None,
) -> Disabled | None:
    """Try again after ``pause``, or never, as when the endpoint is disabled by now; of deliveries
    that fail together one disables it."""
    row = await db.fetchrow(
        """
        WITH endpoint AS (
            SELECT is_enabled FROM webhook_endpoints WHERE id = $7 FOR UPDATE
        ), failed AS (
            UPDATE webhook_deliveries
            SET status = CASE WHEN is_over THEN 'failed' ELSE 'queued' END,
                ended_at = CASE WHEN is_over THEN now() END,
                due_at = coalesce(now() + $5::interval, due_at),
                locked_by = NULL, locked_until = NULL, last_status = $3, last_error = $4
            FROM (
                SELECT is_enabled AS was_enabled, $5::interval IS NULL OR NOT is_enabled AS is_over
                FROM endpoint
            ) AS decided
            WHERE id = $1 AND locked_by = $2 RETURNING endpoint_id, was_enabled
        ), counted AS (
            UPDATE webhook_endpoints
            SET failing_since = coalesce(failing_since, now()),
                is_enabled = is_enabled AND coalesce(failing_since > now() - $6::interval, true),
                disabled_because = CASE WHEN is_enabled AND failing_since <= now() - $6::interval
                    THEN 'failing' ELSE disabled_because END
            FROM failed WHERE id = endpoint_id
            RETURNING webhook_endpoints.*, was_enabled
        )
        SELECT id, provider_id, url, disabled_because, failing_since, now() AS now
        FROM counted WHERE was_enabled AND NOT is_enabled
        """,
        claimed.id,
        worker,
        status,
        error,
        pause,
        DISABLED_AFTER,
        claimed.endpoint_id,
    )
    return await _disabled(db, row)


async def give_back(db: Connection, worker: UUID, delivery_id: UUID) -> None:
    """Somebody else may try at once; the call may have arrived, which ``webhook-id`` tells."""
    await db.execute(
        """
        UPDATE webhook_deliveries
        SET status = 'queued', locked_by = NULL, locked_until = NULL,
            last_error = 'the worker was stopped meanwhile'
        WHERE id = $1 AND locked_by = $2 AND status = 'sending'
        """,
        delivery_id,
        worker,
    )


async def disable_gone(db: Connection, endpoint_id: UUID) -> Disabled | None:
    """The endpoint has answered 410: it wants nothing more."""
    row = await db.fetchrow(
        """
        UPDATE webhook_endpoints
        SET is_enabled = false, disabled_because = 'gone',
            failing_since = coalesce(failing_since, now())
        WHERE id = $1 AND is_enabled
        RETURNING id, provider_id, url, disabled_because, failing_since, now() AS now
        """,
        endpoint_id,
    )
    return await _disabled(db, row)


async def _disabled(db: Connection, row: asyncpg.Record | None) -> Disabled | None:
    if row is None:
        return None
    await drop_queued(db, row["id"])
    return Disabled(**dict(row))


async def drop_queued(db: Connection, endpoint_id: UUID) -> None:
    """Nothing is sent to a disabled endpoint; its log can be replayed later."""
    await db.execute(
        """
        UPDATE webhook_deliveries
        SET status = 'failed', ended_at = now(), last_error = 'the endpoint is disabled'
        WHERE endpoint_id = $1 AND status = 'queued'
        """,
        endpoint_id,
    )
