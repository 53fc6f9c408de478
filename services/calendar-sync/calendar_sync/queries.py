"""Reads for the calendars."""

from typing import Any
from uuid import UUID

import asyncpg

from calendar_sync import wording
from calendar_sync.access import detailed_wording_for
from calendar_sync.entries import Entry, Mode, Status
from calendar_sync.feeds import KEPT_AFTER_CANCELLATION, KEPT_AFTER_END, Feed
from calendar_sync.wording import Wording
from shared.auth import Principal, Role
from shared.db import Connection

_ENTRY = """
    SELECT id, version, provider_id, user_id, starts_at, ends_at, status, mode, provider_name,
        service_title, location_name, location_address, created_at, changed_at
    FROM entries
"""
_OF_FEED = f"""
    {_ENTRY}
    WHERE {{owner}} = $1 AND ends_at > now() - $2::interval
        AND (status <> 'cancelled' OR changed_at > now() - $3::interval)
    ORDER BY starts_at, id
"""
_OF_PROVIDER = _OF_FEED.format(owner="provider_id")
_OF_PATIENT = _OF_FEED.format(owner="user_id")


async def entry(db: Connection, id_: UUID) -> Entry | None:
    row = await db.fetchrow(f"{_ENTRY} WHERE id = $1", id_)
    return _entry(row) if row else None


async def feed_of(
    db: Connection, owner: Principal, words: Wording = wording.neutral
) -> Feed | None:
    """None when there is no such provider, or no longer; a patient is not asked for."""
    title, timezone, statement = "Appointments", None, _OF_PATIENT
    if owner.role is Role.PROVIDER:
        provider = await db.fetchrow(
            "SELECT name, timezone FROM providers WHERE id = $1 AND NOT is_deleted", owner.id
        )
        if provider is None:
            return None
        title, timezone = f"Appointments: {provider['name']}", provider["timezone"]
        statement = _OF_PROVIDER
    rows = await db.fetch(statement, owner.id, KEPT_AFTER_END, KEPT_AFTER_CANCELLATION)
    return Feed(title, timezone, words, tuple(map(_entry, rows)))


async def feed_behind(db: Connection, token_hash: bytes) -> Feed | None:
    """The feed that a live link leads to, in the words that it was made for."""
    link = await db.fetchrow(
        "SELECT provider_id, user_id, detailed FROM feed_links "
        "WHERE token_hash = $1 AND revoked_at IS NULL",
        token_hash,
    )
    if link is None:
        return None
    owner = Principal(link["user_id"], Role.PATIENT)
    if link["provider_id"] is not None:
        owner = Principal(link["provider_id"], Role.PROVIDER)
    words = detailed_wording_for(owner) if link["detailed"] else wording.neutral
    return await feed_of(db, owner, words)


def _entry(row: asyncpg.Record) -> Entry:
    values: dict[str, Any] = dict(row)
    return Entry(**values | {"status": Status(row["status"]), "mode": Mode(row["mode"])})
