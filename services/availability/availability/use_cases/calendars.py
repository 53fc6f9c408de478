"""What providers' own calendars say, as calendar-sync tells it, and whether they can be read."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid5

from availability.notes import noted
from availability.sources import STALE_AFTER
from availability.use_cases.conflicts import announce_busy_conflicts
from shared.db import Connection
from shared.events.calendar import (
    CalendarBusyChanged,
    CalendarConnectionBroken,
    CalendarConnectionConnected,
    CalendarConnectionDeleted,
)

# The same turns as for appointments: one batch may hold both, and both move the same versions.
_TURN = "SELECT pg_advisory_xact_lock(hashtext('availability.claims'))"
_READ = """
INSERT INTO calendar_sources AS known (connection_id, provider_id, kind, version, state, as_of)
VALUES ($1, $2, $3, 0, 'connected', $4)
ON CONFLICT (connection_id) DO UPDATE SET as_of = greatest(known.as_of, excluded.as_of)
RETURNING state
"""
_TOLD = """
INSERT INTO external_busy_spans AS known (connection_id, starts_at, version) VALUES ($1, $2, $3)
ON CONFLICT (connection_id, starts_at) DO UPDATE SET version = excluded.version
WHERE known.version < excluded.version
RETURNING true
"""
_KNOWN = """
SELECT id, external_id, starts_at, ends_at FROM external_busy_times
WHERE connection_id = $1 AND starts_at >= $2 AND starts_at < $3
"""
_FREE = "DELETE FROM external_busy_times WHERE id = ANY ($1::uuid[])"
_BUSY = """
INSERT INTO external_busy_times (id, provider_id, connection_id, source, last_seen_at, external_id,
    starts_at, ends_at)
SELECT busy.id, $2, $1, $3, $4, busy.external_id, busy.starts_at, busy.ends_at
FROM unnest($5::uuid[], $6::text[], $7::timestamptz[], $8::timestamptz[])
    AS busy (id, external_id, starts_at, ends_at)
ON CONFLICT (id) DO UPDATE SET ends_at = excluded.ends_at, last_seen_at = excluded.last_seen_at
"""
_NOTE_TIME = "INSERT INTO schedule_changes (provider_id, starts_at, ends_at) VALUES ($1, $2, $3)"
_COUNT = "UPDATE schedule_versions SET version = version + 1 WHERE provider_id = $1"
_COUNT_NOTED = f"""
UPDATE schedule_versions SET version = version + 1,
    notes = {noted("(SELECT $2::timestamptz, $3::timestamptz) AS changed (starts_at, ends_at)")}
WHERE provider_id = $1
"""
_STATE = "SELECT state FROM calendar_sources WHERE connection_id = $1"
_IS_NOW = """
INSERT INTO calendar_sources AS known (connection_id, provider_id, kind, version, state, as_of)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (connection_id) DO UPDATE
SET kind = excluded.kind, version = excluded.version, state = excluded.state,
    as_of = greatest(known.as_of, excluded.as_of)
WHERE known.version < excluded.version
RETURNING true
"""
_STALE = """
UPDATE calendar_sources SET told_stale = true
WHERE NOT told_stale AND state = 'connected' AND as_of <= now() - $1::interval
RETURNING provider_id
"""
_FRESH = """
UPDATE calendar_sources SET told_stale = false
WHERE connection_id = $1 AND told_stale AND as_of > now() - $2::interval
RETURNING true
"""
_FORGET = """
WITH spans AS (DELETE FROM external_busy_spans WHERE connection_id = $1)
DELETE FROM external_busy_times WHERE connection_id = $1
"""

STALE_EVERY = timedelta(seconds=30)

ConnectionEvent = CalendarConnectionConnected | CalendarConnectionBroken | CalendarConnectionDeleted


class _Busy(NamedTuple):
    external_id: str
    starts_at: datetime
    ends_at: datetime


class SpanBroken(ValueError):
    """A busy time that does not begin in the span that it is told with would never go again."""


async def replace_busy_times(db: Connection, told: CalendarBusyChanged) -> None:
    """In the told span the connection is busy then and only then, unless newer word is known."""
    busy = _by_id(told)
    await db.execute(_TURN)
    state = await db.fetchval(_READ, told.connection_id, told.provider_id, told.kind, told.as_of)
    if state == "deleted" or not await db.fetchval(
        _TOLD, told.connection_id, told.start, told.version
    ):
        return
    known = {
        id_: _Busy(*each)
        for id_, *each in await db.fetch(_KNOWN, told.connection_id, told.start, told.end)
    }
    gone = known.keys() - busy.keys()
    differing = {id_: each for id_, each in busy.items() if known.get(id_) != each}
    await db.execute(_FREE, list(gone))
    if busy:
        names, starts, ends = (list(column) for column in zip(*busy.values(), strict=True))
        fixed = (told.connection_id, told.provider_id, told.kind, told.as_of)
        await db.execute(_BUSY, *fixed, list(busy), names, starts, ends)
    touched = [*differing.values(), *(known[id_] for id_ in known.keys() & {*gone, *differing})]
    # Even when no time is another, the calendar has been read.
    changed = (told.as_of, told.as_of)
    if touched:
        changed = (min(each.starts_at for each in touched), max(each.ends_at for each in touched))
        await db.execute(_NOTE_TIME, told.provider_id, *changed)
    if await db.fetchval(_FRESH, told.connection_id, STALE_AFTER):
        await db.execute(_NOTE_TIME, told.provider_id, None, None)
    await db.execute(_COUNT_NOTED, told.provider_id, *changed)
    if differing:
        await announce_busy_conflicts(
            db,
            told.provider_id,
            told.connection_id,
            before=[(each.starts_at, each.ends_at) for each in known.values()],
            after=[(each.starts_at, each.ends_at) for each in busy.values()],
        )


async def follow_connection(db: Connection, connection: ConnectionEvent) -> None:
    """Whether the connection can be read, by its newest word; a deleted one is never busy."""
    state, as_of = _state_of(connection)
    await db.execute(_TURN)
    before = await db.fetchval(_STATE, connection.id)
    fixed = (connection.id, connection.provider_id, connection.kind, connection.version)
    if not await db.fetchval(_IS_NOW, *fixed, state, as_of):
        return
    if state == "deleted":
        await db.execute(_FORGET, connection.id)
    is_fresh = await db.fetchval(_FRESH, connection.id, STALE_AFTER)
    if is_fresh or before not in (None, state):
        await db.execute(_NOTE_TIME, connection.provider_id, None, None)
    await db.execute(_COUNT, connection.provider_id)


async def note_stale(db: Connection) -> None:
    """Changes by time alone: once for each calendar that nobody has read for too long."""
    await db.execute(_TURN)
    for row in await db.fetch(_STALE, STALE_AFTER):
        await db.execute(_NOTE_TIME, row["provider_id"], None, None)
        await db.execute(_COUNT, row["provider_id"])


def _by_id(told: CalendarBusyChanged) -> Mapping[UUID, _Busy]:
    """Ids follow from what they stand for, so that a rebuilt model is the one that was lost."""
    found = {}
    for each in told.busy:
        if not told.start <= each.start < told.end:
            raise SpanBroken(f"{each.start} is not from {told.start} to {told.end}")
        if each.end > each.start:
            name = f"{each.external_id} {each.start.timestamp()}"
            found[uuid5(told.connection_id, name)] = _Busy(each.external_id, each.start, each.end)
    return found


def _state_of(connection: ConnectionEvent) -> tuple[str, datetime | None]:
    match connection:
        case CalendarConnectionConnected():
            return "connected", connection.as_of
        case CalendarConnectionBroken():
            return "broken", None
        case CalendarConnectionDeleted():
            return "deleted", None
