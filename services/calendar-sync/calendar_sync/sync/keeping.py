"""Keeping what a calendar says: events, their busy times, and the months that have changed."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from calendar_sync.calendars.contract import ExternalEvent, Page, Unreadable
from calendar_sync.domain.busy import Busy, Reader
from calendar_sync.domain.window import month_of
from calendar_sync.sync import drift
from calendar_sync.sync.lease import Lease, Overtaken
from shared.db import Connection, Database
from shared.observability import logger

_LONGEST_ID = 1024
_AT_ONCE = 500

_IS_WANTED = "SELECT is_busy AND generation = $2 FROM calendars WHERE id = $1"
_KNOWN = """
SELECT external_id, starts_at, ends_at FROM external_busy_times
WHERE calendar_id = $1 AND external_id = ANY ($2::text[])
"""
_GONE = "DELETE FROM external_events WHERE calendar_id = $1 AND external_id = ANY ($2::text[])"
_THERE = """
INSERT INTO external_events AS known (calendar_id, external_id, etag, generation)
SELECT $1, event.id, event.etag, $2 FROM unnest($3::text[], $4::text[]) AS event (id, etag)
ON CONFLICT (calendar_id, external_id) DO UPDATE
SET etag = excluded.etag, generation = excluded.generation, problem = NULL
WHERE (known.etag, known.generation, known.problem)
    IS DISTINCT FROM (excluded.etag, excluded.generation, NULL)
"""
_UNREADABLE = """
INSERT INTO external_events (calendar_id, external_id, generation, problem)
SELECT $1, event.id, $2, event.reason FROM unnest($3::text[], $4::text[]) AS event (id, reason)
ON CONFLICT (calendar_id, external_id) DO UPDATE
SET generation = excluded.generation, problem = excluded.problem
"""
_FREE = """
DELETE FROM external_busy_times USING unnest($2::text[], $3::timestamptz[]) AS gone (id, start)
WHERE calendar_id = $1 AND external_id = gone.id AND starts_at = gone.start
"""
_BUSY = """
INSERT INTO external_busy_times (calendar_id, connection_id, external_id, starts_at, ends_at)
SELECT $1, $2, busy.* FROM unnest($3::text[], $4::timestamptz[], $5::timestamptz[]) AS busy
ON CONFLICT (calendar_id, external_id, starts_at) DO UPDATE SET ends_at = excluded.ends_at
"""
_CHANGED = """
INSERT INTO busy_spans (connection_id, starts_at, is_changed)
SELECT $1, month, true FROM unnest($2::timestamptz[]) AS month
ON CONFLICT (connection_id, starts_at) DO UPDATE SET is_changed = true
"""
_OLDER = """
SELECT external_id FROM external_events WHERE calendar_id = $1 AND generation < $2 LIMIT $3
"""
# It may have come and gone since the last time that anything was read.
_WRITTEN_BY_US = """
SELECT external_id FROM written_events WHERE calendar_id = $1 AND external_id = ANY ($2::text[])
"""
_MISSED = """
SELECT external_id FROM written_events AS written
WHERE calendar_id = $1 AND external_id IS NOT NULL AND ends_at > $2 AND starts_at < $3
    AND NOT EXISTS (
        SELECT FROM external_events AS known
        WHERE known.calendar_id = $1 AND known.external_id = written.external_id
    )
"""


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is learned of one calendar in one reading."""

    database: Database
    lease: Lease
    calendar_id: UUID
    generation: int
    reader: Reader

    @asynccontextmanager
    async def page(self, page: Page) -> AsyncIterator[Connection]:
        """Keeps the page in one transaction, in which more may be done."""
        events, unreadable = _told_last(page)
        busy = {id_: self.reader.busy_times(event) for id_, event in events.items()}
        for each in unreadable.values():
            logger.warning(
                "calendar_event_unreadable", connection=str(self.lease.id), reason=each.reason
            )
        async with self.transaction() as db:
            # They are ours also where the provider has lost, or does not tell, the mark on them.
            for row in await db.fetch(_WRITTEN_BY_US, self.calendar_id, list(events)):
                busy[row["external_id"]] = []
            await self._keep(db, events, busy, unreadable)
            yield db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Raises Overtaken when the calendar is no longer to be read, or to be read anew."""
        async with self.lease.transaction(self.database) as db:
            if not await db.fetchval(_IS_WANTED, self.calendar_id, self.generation):
                raise Overtaken
            yield db

    async def forget_older_generations(self) -> None:
        """What a full reading has not seen is not there any more, be it an event of ours."""
        while True:
            async with self.transaction() as db:
                rows = await db.fetch(_OLDER, self.calendar_id, self.generation, _AT_ONCE)
                gone = {row["external_id"]: ExternalEvent(id=row["external_id"]) for row in rows}
                await self._keep(db, gone, {id_: [] for id_ in gone}, {})
            if len(rows) < _AT_ONCE:
                break
        window = self.reader.window
        async with self.transaction() as db:
            rows = await db.fetch(_MISSED, self.calendar_id, window.start, window.end)
            missed = {row["external_id"]: ExternalEvent(id=row["external_id"]) for row in rows}
            await drift.look_for_drift(db, self.lease, self.calendar_id, missed, self.reader.zone)

    async def _keep(
        self,
        db: Connection,
        events: Mapping[str, ExternalEvent],
        busy: Mapping[str, list[Busy]],
        unreadable: Mapping[str, Unreadable],
    ) -> None:
        await drift.look_for_drift(db, self.lease, self.calendar_id, events, self.reader.zone)
        there = {id_: event for id_, event in events.items() if event.occurrences}
        known: dict[str, set[Busy]] = {id_: set() for id_ in events}
        for id_, start, end in await db.fetch(_KNOWN, self.calendar_id, list(events)):
            known[id_].add(Busy(start, end))
        gone = events.keys() - there.keys()
        if gone:
            await db.execute(_GONE, self.calendar_id, list(gone))
        if there:
            etags = [event.etag for event in there.values()]
            await db.execute(_THERE, self.calendar_id, self.generation, list(there), etags)
        if unreadable:
            reasons = [each.reason for each in unreadable.values()]
            await db.execute(
                _UNREADABLE, self.calendar_id, self.generation, list(unreadable), reasons
            )
        await self._change_busy_times(db, known, busy)

    async def _change_busy_times(
        self, db: Connection, known: Mapping[str, set[Busy]], busy: Mapping[str, list[Busy]]
    ) -> None:
        freed = [(id_, each) for id_ in busy for each in known[id_].difference(busy[id_])]
        taken = [(id_, each) for id_ in busy for each in set(busy[id_]) - known[id_]]
        starts = {(id_, each.start) for id_, each in taken}
        freed_starts = [(id_, each) for id_, each in freed if (id_, each.start) not in starts]
        if freed_starts:
            ids, times = [id_ for id_, _ in freed_starts], [each.start for _, each in freed_starts]
            await db.execute(_FREE, self.calendar_id, ids, times)
        if taken:
            await db.execute(
                _BUSY,
                self.calendar_id,
                self.lease.id,
                [id_ for id_, _ in taken],
                [each.start for _, each in taken],
                [each.end for _, each in taken],
            )
        await note_months(db, self.lease.id, (each.start for _, each in [*freed, *taken]))


async def note_months(db: Connection, connection_id: UUID, starts: Iterable[datetime]) -> None:
    """Busy times that begin then have changed; it is to be told."""
    months = sorted({month_of(start) for start in starts})
    if months:
        await db.execute(_CHANGED, connection_id, months)


def zone_of(*names: str | None) -> ZoneInfo:
    """The first that is known here; a provider may call its zones as it likes."""
    for name in names:
        try:
            return ZoneInfo(name or "")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")


def _told_last(page: Page) -> tuple[dict[str, ExternalEvent], dict[str, Unreadable]]:
    events = {event.id: event for event in page.events if _is_storable(event.id)}
    unreadable = {each.id: each for each in page.unreadable if _is_storable(each.id)}
    for event in page.events:
        if not _is_storable(event.id):
            id_ = f"unusable-{sha256(event.id.encode(errors='replace')).hexdigest()}"
            unreadable[id_] = Unreadable(id_, "id_unusable")
    return {id_: event for id_, event in events.items() if id_ not in unreadable}, unreadable


def _is_storable(id_: str) -> bool:
    return 0 < len(id_) <= _LONGEST_ID and "\0" not in id_ and id_.isprintable()
