"""Reading one calendar: what has changed since the last time, or everything anew."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from calendar_sync.calendars.contract import Account, CursorGone, Page, Temporary
from calendar_sync.domain.busy import Reader
from calendar_sync.domain.window import window_at
from calendar_sync.sync import keeping
from calendar_sync.sync.lease import Lease
from shared.db import Connection, Database
from shared.observability import logger

_CALENDARS = """
SELECT calendars.id, calendars.external_id, cursor, generation, window_starts_at,
    window_ends_at, ARRAY[calendars.timezone, providers.timezone] AS timezones
FROM calendars
JOIN connections ON connections.id = connection_id
LEFT JOIN providers ON providers.id = provider_id
WHERE connection_id = $1 AND is_busy
ORDER BY calendars.id
"""
_BEGIN_ANEW = """
UPDATE calendars
SET cursor = NULL, generation = generation + 1, window_starts_at = $2, window_ends_at = $3
WHERE id = $1
RETURNING generation
"""
_GO_ON = "UPDATE calendars SET cursor = $2 WHERE id = $1"
_END = "UPDATE calendars SET cursor = $2, read_at = $3, is_gone = false WHERE id = $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCalendar:
    """A calendar that makes its owner busy, as far as it has been read."""

    id: UUID
    external_id: str
    cursor: str | None
    generation: int
    window_starts_at: datetime | None
    window_ends_at: datetime | None
    timezones: list[str | None]
    """As the calendar calls its own, which may be nobody else's name for it; its owner's."""

    @property
    def zone(self) -> ZoneInfo:
        return keeping.zone_of(*self.timezones)


async def calendars_to_read(db: Connection, connection_id: UUID) -> list[ReadCalendar]:
    return [ReadCalendar(**dict(row)) for row in await db.fetch(_CALENDARS, connection_id)]


async def read_calendar(
    database: Database, account: Account, lease: Lease, calendar: ReadCalendar, *, host: str
) -> None:
    """All that has changed is kept, page by page. What is busy stays busy until it is known to be
    otherwise, also while everything is read anew."""
    window = window_at(lease.began_at, lease.id)
    reader = Reader(calendar.zone, window, host, lease.tentative_is_busy)
    is_same = (calendar.window_starts_at, calendar.window_ends_at) == (window.start, window.end)
    if calendar.cursor is not None and is_same:
        pages = account.changes(
            calendar.external_id, calendar.cursor, window=window, zone=reader.zone
        )
        keep = keeping.Keeping(database, lease, calendar.id, calendar.generation, reader)
        try:
            cursor = await _keep_all(pages, keep, goes_on=True)
        except CursorGone:
            logger.info("calendar_cursor_gone", connection=str(lease.id))
        else:
            async with keep.transaction() as db:
                await db.execute(_END, calendar.id, cursor, lease.began_at)
            return
    async with lease.transaction(database) as db:
        generation = await db.fetchval(_BEGIN_ANEW, calendar.id, window.start, window.end)
    pages = account.changes(calendar.external_id, None, window=window, zone=reader.zone)
    keep = keeping.Keeping(database, lease, calendar.id, generation, reader)
    try:
        cursor = await _keep_all(pages, keep, goes_on=False)
    except CursorGone as error:
        raise Temporary(error.reason) from error
    await keep.forget_older_generations()
    async with keep.transaction() as db:
        await db.execute(_END, calendar.id, cursor, lease.began_at)


async def _keep_all(
    pages: AsyncIterator[Page], keep: keeping.Keeping, *, goes_on: bool
) -> str | None:
    """The last page's cursor. With ``goes_on`` a reading that breaks off resumes where it was: a
    full one must not, as it would never learn what is gone."""
    cursor = None
    async for page in pages:
        cursor = page.cursor
        async with keep.page(page) as db:
            if goes_on and cursor is not None:
                await db.execute(_GO_ON, keep.calendar_id, cursor)
    return cursor
