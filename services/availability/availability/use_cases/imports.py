"""What providers have imported from calendar files: blocked exceptions, as calendar-sync tells."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID, uuid5

from availability.use_cases.conflicts import Span, Watch
from shared.db import Connection
from shared.events.calendar import CalendarImportDeleted, CalendarImported

# The same turns as for appointments: one batch may hold both, and both move the same versions.
_TURN = "SELECT pg_advisory_xact_lock(hashtext('availability.claims'))"
_PROVIDER = "SELECT true FROM providers WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE"
_IS_NOW = """
INSERT INTO calendar_imports AS known (id, provider_id, version, is_deleted)
VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, is_deleted = excluded.is_deleted
WHERE known.version < excluded.version
RETURNING true
"""
_KNOWN = "SELECT id, starts_at, ends_at FROM availability_exceptions WHERE import_id = $1"
_FREE = "DELETE FROM availability_exceptions WHERE id = ANY ($1::uuid[])"
_BLOCK = """
INSERT INTO availability_exceptions
    (id, provider_id, kind, starts_at, ends_at, source, import_id)
SELECT blocked.id, $1, 'blocked', blocked.starts_at, blocked.ends_at, 'manual', $2
FROM unnest($3::uuid[], $4::timestamptz[], $5::timestamptz[])
    AS blocked (id, starts_at, ends_at)
"""
_NOTE_TIME = "INSERT INTO schedule_changes (provider_id, starts_at, ends_at) VALUES ($1, $2, $3)"
_COUNT = "UPDATE schedule_versions SET version = version + 1 WHERE provider_id = $1"


async def follow_import(db: Connection, told: CalendarImported | CalendarImportDeleted) -> None:
    """The import blocks these times and no others, unless newer word is known; tells of the
    appointments that new ones hit."""
    is_deleted = isinstance(told, CalendarImportDeleted)
    await db.execute(_TURN)
    if not await db.fetchval(_PROVIDER, told.provider_id):
        return
    if not await db.fetchval(_IS_NOW, told.id, told.provider_id, told.version, is_deleted):
        return
    blocked = {} if isinstance(told, CalendarImportDeleted) else _by_id(told)
    known = {id_: (start, end) for id_, start, end in await db.fetch(_KNOWN, told.id)}
    gone = {id_: span for id_, span in known.items() if id_ not in blocked}
    new = {id_: span for id_, span in blocked.items() if id_ not in known}
    touched = [*gone.values(), *new.values()]
    if not touched:
        return
    span = (min(start for start, _ in touched), max(end for _, end in touched))
    watch = await Watch.begin(db, told.provider_id, span)
    await db.execute(_FREE, list(gone))
    if new:
        starts, ends = (list(column) for column in zip(*new.values(), strict=True))
        await db.execute(_BLOCK, told.provider_id, told.id, list(new), starts, ends)
    await db.execute(_NOTE_TIME, told.provider_id, *span)
    await db.execute(_COUNT, told.provider_id)
    await watch.tell(db, "exception", told.id)


def _by_id(told: CalendarImported) -> Mapping[UUID, Span]:
    """Ids follow from what they stand for, so that a rebuilt model is the one that was lost."""
    return {
        uuid5(told.id, f"{_seconds(each.start)} {_seconds(each.end)}"): (each.start, each.end)
        for each in told.blocked
        if each.end > each.start
    }


def _seconds(instant: datetime) -> str:
    return f"{instant.timestamp():f}"
