"""What others are told of a connection: when it is busy, whether it works, and that it is gone."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import asyncpg

from calendar_sync.domain.busy import MOST_IN_A_SPAN, Busy, condensed
from calendar_sync.domain.window import months_after
from calendar_sync.sync.lease import Lease
from shared.db import Connection, Database
from shared.events.calendar import (
    BusyTime,
    CalendarBusyChanged,
    CalendarConnectionBroken,
    CalendarConnectionConnected,
    CalendarConnectionDeleted,
)
from shared.messaging import outbox

TELL_AGAIN_AFTER = timedelta(minutes=20)
"""A third of the time after which a calendar of which nobody hears is not trusted any more."""

# Later months first: a busy time that moves to another month is told there before it goes here.
_CHANGED = """
SELECT starts_at, told_hash FROM busy_spans WHERE connection_id = $1 AND is_changed
ORDER BY starts_at DESC LIMIT 1
"""
_BUSY = """
SELECT calendar_id, external_id, starts_at, ends_at FROM external_busy_times
WHERE connection_id = $1 AND starts_at >= $2 AND starts_at < $3
ORDER BY starts_at, ends_at, calendar_id, external_id
"""
_TOLD = """
UPDATE busy_spans SET is_changed = false, told_hash = $3
WHERE connection_id = $1 AND starts_at = $2
"""
_AS_OF = """
SELECT least($2, min(coalesce(calendars.read_at, connections.created_at))) FROM calendars
JOIN connections ON connections.id = connection_id WHERE connection_id = $1 AND is_busy
"""
_COUNT = "UPDATE connections SET version = version + 1 WHERE id = $1 RETURNING version"
_CONNECTED = """
UPDATE connections SET version = version + 1, told_at = now()
WHERE id = $1 AND (told_at IS NULL OR told_at <= now() - $2::interval)
RETURNING version
"""


async def tell_busy_times(database: Database, lease: Lease) -> None:
    """One event for each month that is not as it was last told, and none for any other."""
    more = True
    while more:
        async with lease.transaction(database) as db:
            more = await _tell_one(db, lease)


async def _tell_one(db: Connection, lease: Lease) -> bool:
    span = await db.fetchrow(_CHANGED, lease.id)
    if span is None:
        return False
    start: datetime = span["starts_at"]
    end = months_after(start, 1)
    busy = _told(await db.fetch(_BUSY, lease.id, start, end), lease.id)
    digest = _digest(busy) if busy else None
    await db.execute(_TOLD, lease.id, start, digest)
    if digest != span["told_hash"]:
        event = CalendarBusyChanged(
            connection_id=lease.id,
            provider_id=lease.provider_id,
            version=await db.fetchval(_COUNT, lease.id),
            kind=lease.kind,
            as_of=await db.fetchval(_AS_OF, lease.id, lease.began_at),
            start=start,
            end=end,
            busy=busy,
        )
        await outbox.put(db, event)
    return True


def _told(rows: list[asyncpg.Record], connection_id: UUID) -> list[BusyTime]:
    """By ids of our own: a calendar's may be long, and may say who somebody is."""
    if len(rows) > MOST_IN_A_SPAN:
        merged = condensed(Busy(row["starts_at"], row["ends_at"]) for row in rows)
        return [
            BusyTime(external_id=f"{each.start.timestamp():.0f}", start=each.start, end=each.end)
            for each in merged
        ]
    return [
        BusyTime(
            external_id=str(uuid5(row["calendar_id"], row["external_id"])),
            start=row["starts_at"],
            end=row["ends_at"],
        )
        for row in rows
    ]


def _digest(busy: Iterable[BusyTime]) -> bytes:
    digest = hashlib.sha256()
    for each in busy:
        digest.update(f"{each.external_id} {each.start} {each.end}\n".encode())
    return digest.digest()


async def tell_connected(db: Connection, lease: Lease) -> None:
    """That the connection works, again and again while it does."""
    version = await db.fetchval(_CONNECTED, lease.id, TELL_AGAIN_AFTER)
    if version is not None:
        as_of = await db.fetchval(_AS_OF, lease.id, lease.began_at)
        fixed = _fixed(lease.id, lease.provider_id, lease.kind, version)
        await outbox.put(db, CalendarConnectionConnected(**fixed, as_of=as_of or lease.began_at))


async def tell_broken(db: Connection, lease: Lease, reason: str) -> None:
    """Once: the caller has just changed the state."""
    version = await db.fetchval(_COUNT, lease.id)
    fixed = _fixed(lease.id, lease.provider_id, lease.kind, version)
    await outbox.put(db, CalendarConnectionBroken(**fixed, reason=reason))


async def tell_deleted(db: Connection, id_: UUID, provider_id: UUID, kind: str) -> None:
    """Nothing is told of the connection after this."""
    version = await db.fetchval(_COUNT, id_)
    await outbox.put(db, CalendarConnectionDeleted(**_fixed(id_, provider_id, kind, version)))


def _fixed(id_: UUID, provider_id: UUID, kind: str, version: int) -> dict[str, Any]:
    return {"id": id_, "provider_id": provider_id, "kind": kind, "version": version}
