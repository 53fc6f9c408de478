"""What the owners of endpoints do with them. An owner of None is the clinic itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from notifications.webhooks import deliveries
from notifications.webhooks.deliverer import secret_place
from notifications.webhooks.disabling import need_not_tell
from notifications.webhooks.log import TEST_TYPE
from notifications.webhooks.refusals import (
    TooManyWebhookEndpoints,
    WebhookEndpointDisabled,
    WebhookEndpointNotFound,
)
from notifications.webhooks.signing import new_secret
from shared.cursors import Position
from shared.db import Connection
from shared.encryption import Cipher
from shared.ids import new_id

MOST_ENDPOINTS = 10
OLD_SECRET_LIFE = timedelta(hours=24)
MOST_REPLAYED = 10_000

_MINE = "provider_id IS NOT DISTINCT FROM $1::uuid"
_COLUMNS = """id, provider_id, url, description, events, is_enabled, disabled_because,
    old_secret_until, failing_since, created_at"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What an endpoint shall be like."""

    url: str
    description: str
    events: Sequence[str]
    is_enabled: bool = True


async def add(
    db: Connection, owner: UUID | None, wish: Wish, cipher: Cipher
) -> tuple[asyncpg.Record, bytes]:
    """The new endpoint and its secret, which is told this once."""
    # Of two at the same time the second counts the first.
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 2))", str(owner))
    if await db.fetchval(f"SELECT count(*) FROM webhook_endpoints WHERE {_MINE}", owner) >= (
        MOST_ENDPOINTS
    ):
        raise TooManyWebhookEndpoints(f"{MOST_ENDPOINTS} exist; remove one that is not needed")
    id_, secret = new_id(), new_secret()
    [row] = await db.fetch(
        f"""
        INSERT INTO webhook_endpoints
            (id, provider_id, url, description, events, is_enabled, disabled_because, secret)
        VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN NOT $6 THEN 'by_hand' END, $7)
        RETURNING {_COLUMNS}
        """,
        id_,
        owner,
        wish.url,
        wish.description,
        list(wish.events),
        wish.is_enabled,
        cipher.encrypt(secret, secret_place(id_)),
    )
    return row, secret


async def all_of(db: Connection, owner: UUID | None) -> list[asyncpg.Record]:
    return await db.fetch(
        f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE {_MINE} ORDER BY created_at, id", owner
    )


async def one_of(
    db: Connection, owner: UUID | None, endpoint_id: UUID, *, for_update: bool = False
) -> asyncpg.Record:
    """Raises WebhookEndpointNotFound, also for somebody else's."""
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE {_MINE} AND id = $2"
        + (" FOR UPDATE" if for_update else ""),
        owner,
        endpoint_id,
    )
    if row is None:
        raise WebhookEndpointNotFound("no such webhook endpoint")
    return row


async def change(
    db: Connection, owner: UUID | None, endpoint_id: UUID, wish: Wish
) -> asyncpg.Record:
    """Enabling it again forgets that it has failed."""
    await one_of(db, owner, endpoint_id, for_update=True)
    [row] = await db.fetch(
        f"""
        UPDATE webhook_endpoints
        SET url = $2, description = $3, events = $4, is_enabled = $5,
            disabled_because = CASE WHEN NOT $5 THEN coalesce(disabled_because, 'by_hand') END,
            failing_since = CASE WHEN NOT $5 OR is_enabled THEN failing_since END
        WHERE id = $1 RETURNING {_COLUMNS}
        """,
        endpoint_id,
        wish.url,
        wish.description,
        list(wish.events),
        wish.is_enabled,
    )
    if wish.is_enabled:
        await need_not_tell(db, owner, endpoint_id)
    else:
        await deliveries.drop_queued(db, endpoint_id)
    return row


async def remove(db: Connection, owner: UUID | None, endpoint_id: UUID) -> None:
    """With its log."""
    await one_of(db, owner, endpoint_id, for_update=True)
    await db.execute("DELETE FROM webhook_endpoints WHERE id = $1", endpoint_id)
    await need_not_tell(db, owner, endpoint_id)


async def rotate_secret(
    db: Connection, owner: UUID | None, endpoint_id: UUID, cipher: Cipher
) -> tuple[asyncpg.Record, bytes]:
    """A new secret; for a day the old one signs too, so that receivers can change over."""
    await one_of(db, owner, endpoint_id, for_update=True)
    secret = new_secret()
    [row] = await db.fetch(
        f"""
        UPDATE webhook_endpoints
        SET old_secret = secret, old_secret_until = now() + $3::interval, secret = $2
        WHERE id = $1 RETURNING {_COLUMNS}
        """,
        endpoint_id,
        cipher.encrypt(secret, secret_place(endpoint_id)),
        OLD_SECRET_LIFE,
    )
    return row, secret


async def send_test(db: Connection, owner: UUID | None, endpoint_id: UUID) -> asyncpg.Record:
    """Queue an event that means nothing; the log shows what became of it."""
    await _enabled(db, owner, endpoint_id)
    position = await db.fetchval(
        """
        INSERT INTO webhook_events (id, type, provider_id, occurred_at, data)
        VALUES ($1, $2, $3, now(), $4) RETURNING position
        """,
        new_id(),
        TEST_TYPE,
        owner,
        {"endpointId": str(endpoint_id)},
    )
    [row] = await db.fetch(
        """
        INSERT INTO webhook_deliveries (id, endpoint_id, position) VALUES ($1, $2, $3)
        RETURNING *, $4::text AS type, created_at AS occurred_at
        """,
        new_id(),
        endpoint_id,
        position,
        TEST_TYPE,
    )
    return row


async def replay(db: Connection, owner: UUID | None, endpoint_id: UUID, *, after: int) -> int:
    """Queue again what happened after a position, as far as the endpoint wants it; how many.

    Also what happened before it existed. What is queued anyway stays as it is.
    """
    await _enabled(db, owner, endpoint_id)
    count: int = await db.fetchval(
        """
        WITH wanted AS (
            SELECT event.position FROM webhook_events event JOIN webhook_endpoints endpoint
                ON endpoint.id = $1 AND event.type = ANY(endpoint.events)
                AND (endpoint.provider_id IS NULL OR endpoint.provider_id = event.provider_id)
            WHERE event.position > $2 ORDER BY event.position LIMIT $3
        ), queued AS (
            INSERT INTO webhook_deliveries (id, endpoint_id, position)
            SELECT gen_random_uuid(), $1, position FROM wanted ORDER BY position
            ON CONFLICT (endpoint_id, position) DO UPDATE
            SET status = 'queued', attempts = 0, due_at = now(), ended_at = NULL
            WHERE webhook_deliveries.ended_at IS NOT NULL
            RETURNING 1
        )
        SELECT count(*) FROM queued
        """,
        endpoint_id,
        after,
        MOST_REPLAYED,
    )
    return count


async def log_of(
    db: Connection, owner: UUID | None, endpoint_id: UUID, *, after: Position | None, limit: int
) -> list[asyncpg.Record]:
    """What the endpoint was told and how it went, the latest first."""
    await one_of(db, owner, endpoint_id)
    return await db.fetch(
        """
        SELECT delivery.*, event.type, event.occurred_at
        FROM webhook_deliveries delivery JOIN webhook_events event USING (position)
        WHERE delivery.endpoint_id = $1
            AND ($2::timestamptz IS NULL OR (delivery.created_at, delivery.id) < ($2, $3::uuid))
        ORDER BY delivery.created_at DESC, delivery.id DESC LIMIT $4
        """,
        endpoint_id,
        after and after.at,
        after and after.id,
        limit,
    )


async def _enabled(db: Connection, owner: UUID | None, endpoint_id: UUID) -> None:
    endpoint = await one_of(db, owner, endpoint_id, for_update=True)
    if not endpoint["is_enabled"]:
        raise WebhookEndpointDisabled("enable it first")
