"""Which calendars an account has: they come, change their names, and go."""

from datetime import timedelta

from calendar_sync.calendars.contract import Account, RemoteCalendar
from calendar_sync.sync.lease import Lease
from shared.db import Connection, Database
from shared.ids import new_id

_EVERY = timedelta(hours=12)
_MOST = 100
"""Calendars of one account; further ones cannot be chosen."""

_IS_DUE = """
SELECT listed_at IS NULL OR listed_at < now() - $2::interval
    OR NOT EXISTS (SELECT FROM calendars WHERE connection_id = $1 AND is_busy)
FROM connections WHERE id = $1
"""
_SAVE = """
INSERT INTO calendars (id, connection_id, external_id, name, timezone, is_writable, is_primary,
    is_busy, is_target)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (connection_id, external_id) DO UPDATE
SET name = excluded.name, timezone = excluded.timezone, is_writable = excluded.is_writable,
    is_primary = excluded.is_primary, is_gone = false,
    cursor = CASE WHEN calendars.timezone IS NOT DISTINCT FROM excluded.timezone
        THEN calendars.cursor END
"""
_GONE = """
UPDATE calendars SET is_gone = true
WHERE connection_id = $1 AND external_id <> ALL ($2::text[]) AND NOT is_gone
"""
_LISTED = "UPDATE connections SET listed_at = now() WHERE id = $1"


async def list_calendars(database: Database, account: Account, lease: Lease) -> None:
    """Look now and then; where nothing is read this is how it shows that the account works."""
    async with database.reading() as db:
        if not await db.fetchval(_IS_DUE, lease.id, _EVERY):
            return
    found = (await account.calendars())[:_MOST]
    async with lease.transaction(database) as db:
        for calendar in found:
            await _save(db, lease, calendar)
        await db.execute(_GONE, lease.id, [calendar.id for calendar in found])
        await db.execute(_LISTED, lease.id)


async def _save(db: Connection, lease: Lease, calendar: RemoteCalendar) -> None:
    # A new one is for its owner to choose: it neither blocks times nor is written to by itself.
    await db.execute(_SAVE, new_id(), lease.id, *row_of(calendar), False, False)


def row_of(calendar: RemoteCalendar) -> tuple[str, str, str | None, bool, bool]:
    """``external_id, name, timezone, is_writable, is_primary``, as they can be kept."""
    name = "".join(each for each in calendar.name if each.isprintable()).strip()
    return (
        calendar.id,
        name[:200] or "Calendar",
        calendar.timezone,
        calendar.is_writable,
        calendar.is_primary,
    )
