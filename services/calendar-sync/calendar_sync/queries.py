"""Reads for the calendars."""

from typing import Any
from uuid import UUID

import asyncpg

from calendar_sync.entries import Entry, Mode, Status
from calendar_sync.feeds import KEPT_AFTER_CANCELLATION, KEPT_AFTER_END, Feed
from shared.db import Connection

_ENTRY = """
    SELECT id, version, provider_id, user_id, starts_at, ends_at, status, mode, provider_name,
        service_title, location_name, location_address, created_at, changed_at
    FROM entries
"""
_OF_FEED = f"""
    {_ENTRY}
    WHERE provider_id = $1 AND ends_at > now() - $2::interval
        AND (status <> 'cancelled' OR changed_at > now() - $3::interval)
    ORDER BY starts_at, id
"""


async def entry(db: Connection, id_: UUID) -> Entry | None:
    row = await db.fetchrow(f"{_ENTRY} WHERE id = $1", id_)
    return _entry(row) if row else None


async def feed_of(db: Connection, provider_id: UUID) -> Feed | None:
    """None when there is no such provider, or no longer."""
    provider = await db.fetchrow(
        "SELECT name, timezone FROM providers WHERE id = $1 AND NOT is_deleted", provider_id
    )
    if provider is None:
        return None
    rows = await db.fetch(_OF_FEED, provider_id, KEPT_AFTER_END, KEPT_AFTER_CANCELLATION)
    return Feed(provider["name"], provider["timezone"], tuple(map(_entry, rows)))


async def feed_behind(db: Connection, token_hash: bytes) -> Feed | None:
    """The feed that a live link leads to."""
    provider_id = await db.fetchval(
        "SELECT provider_id FROM feed_links WHERE token_hash = $1 AND revoked_at IS NULL",
        token_hash,
    )
    return await feed_of(db, provider_id) if provider_id else None


def _entry(row: asyncpg.Record) -> Entry:
    values: dict[str, Any] = dict(row)
    return Entry(**values | {"status": Status(row["status"]), "mode": Mode(row["mode"])})
