"""Import a calendar file under a name, import a changed one anew, and take an import back."""

from dataclasses import asdict
from hashlib import sha256
from typing import Any
from uuid import UUID

from calendar_sync.domain.busy import Busy
from calendar_sync.importing import Imported
from calendar_sync.refusals import ImportNotFound, TooManyImports
from calendar_sync.use_cases.connect import check_provider
from shared.auth import Principal
from shared.db import Connection
from shared.events.calendar import BlockedTime, CalendarImportDeleted, CalendarImported
from shared.ids import new_id
from shared.messaging import outbox

MOST_IMPORTS = 5

_LIVE = """
SELECT id, name, file_hash, times_hash FROM calendar_imports
WHERE provider_id = $1 AND deleted_at IS NULL
"""
_FIRST = """
INSERT INTO calendar_imports (id, provider_id, name, version, imported_by, file_hash, times_hash,
    starts_at, ends_at, event_count, imported_event_count, blocked_time_count, skipped,
    unknown_zones)
VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
RETURNING version
"""
_ANEW = """
UPDATE calendar_imports
SET version = version + (times_hash <> $4)::integer, imported_at = now(), imported_by = $2,
    file_hash = $3, times_hash = $4, starts_at = $5, ends_at = $6, event_count = $7,
    imported_event_count = $8, blocked_time_count = $9, skipped = $10, unknown_zones = $11
WHERE id = $1
RETURNING version
"""
_END = """
UPDATE calendar_imports SET deleted_at = now(), deleted_by = $3, version = version + 1
WHERE id = $1 AND provider_id = $2 AND deleted_at IS NULL
RETURNING version
"""
_EVER = "SELECT true FROM calendar_imports WHERE id = $1 AND provider_id = $2"


async def import_calendar(
    db: Connection, provider_id: UUID, name: str, imported: Imported, *, user: Principal
) -> UUID:
    """The import of this name blocks what the file says from now on, and nothing else.

    The same file again changes nothing. Raises ProviderNotFound, TooManyImports.
    """
    await check_provider(db, provider_id)
    live = {row["name"]: row for row in await db.fetch(_LIVE, provider_id)}
    known = live.get(name)
    id_: UUID = known["id"] if known else new_id()
    times_hash = _hash_of(imported.blocked)
    if known is None:
        if len(live) >= MOST_IMPORTS:
            raise TooManyImports(f"There are {MOST_IMPORTS} imports; take one back first.")
        fixed = (id_, provider_id, name)
        version = await db.fetchval(_FIRST, *fixed, user.id, *_columns(imported, times_hash))
    else:
        is_as_told = known["times_hash"] == times_hash
        if is_as_told and known["file_hash"] == imported.file_hash:
            return id_
        version = await db.fetchval(_ANEW, id_, user.id, *_columns(imported, times_hash))
        if is_as_told:
            return id_
    blocked = [BlockedTime(start=start, end=end) for start, end in imported.blocked]
    event = CalendarImported(id=id_, version=version, provider_id=provider_id, blocked=blocked)
    await outbox.put(db, event)
    return id_


async def delete_import(db: Connection, provider_id: UUID, id_: UUID, *, user: Principal) -> None:
    """It blocks nothing any more; twice is the same as once. Raises ImportNotFound."""
    version = await db.fetchval(_END, id_, provider_id, user.id)
    if version is not None:
        event = CalendarImportDeleted(id=id_, version=version, provider_id=provider_id)
        await outbox.put(db, event)
    elif not await db.fetchval(_EVER, id_, provider_id):
        raise ImportNotFound


def _columns(imported: Imported, times_hash: bytes) -> tuple[Any, ...]:
    window = imported.reader.window
    return (
        imported.file_hash,
        times_hash,
        window.start,
        window.end,
        imported.event_count,
        imported.imported_event_count,
        len(imported.blocked),
        [asdict(each) for each in imported.skipped],
        [{"zone": zone, "line": line} for zone, line in imported.unknown_zones.items()],
    )


def _hash_of(blocked: list[Busy]) -> bytes:
    return sha256(repr([(each.start, each.end) for each in blocked]).encode()).digest()
