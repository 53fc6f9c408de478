"""Writing appointments into the calendar that the provider has chosen for it."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from calendar_sync import queries, wording
from calendar_sync.calendars.contract import (
    Account,
    NotFound,
    OurEvent,
    Refused,
    Stale,
    Temporary,
    Written,
)
from calendar_sync.domain.pace import back_off
from calendar_sync.entries import Entry, Status
from calendar_sync.sync.lease import Lease
from shared.db import Connection, Database
from shared.events.calendar import CalendarEventFailed, CalendarEventWritten
from shared.ids import new_id
from shared.messaging import outbox

_PATIENCE = 5
"""Failures in a row that are nobody's business yet."""
_KEPT = timedelta(days=30)
"""How long after its end an appointment's event is still ours to change."""

_MISSING = """
SELECT entries.id AS appointment_id, calendars.id AS calendar_id
FROM calendars JOIN entries ON entries.provider_id = $2
WHERE connection_id = $1 AND is_target AND NOT is_gone
    AND entries.status = 'confirmed' AND entries.ends_at > now()
    AND NOT EXISTS (
        SELECT FROM written_events AS written
        WHERE written.appointment_id = entries.id AND written.calendar_id = calendars.id
            AND NOT is_retired
    )
    -- Its end may be heard of later than what has come in its place.
    AND NOT EXISTS (SELECT FROM entries AS later WHERE later.replaces = entries.id)
ORDER BY entries.starts_at LIMIT 500
"""
_PLAN = """
INSERT INTO written_events (id, connection_id, calendar_id, appointment_id)
VALUES ($1, $2, $3, $4)
"""
_FORGET = """
DELETE FROM written_events AS written USING entries
WHERE written.connection_id = $1 AND entries.id = appointment_id
    AND entries.ends_at < now() - $2::interval
"""
_NEXT = """
WITH due AS (
    SELECT written.id, entries.version AS entry_version
    FROM written_events AS written LEFT JOIN entries ON entries.id = appointment_id
    WHERE written.connection_id = $1 AND (try_at IS NULL OR try_at <= now())
        AND (is_retired OR entries.version IS DISTINCT FROM handled_version)
        AND (is_retired OR entries.id IS NOT NULL)
    ORDER BY try_at NULLS FIRST, entries.starts_at, written.id LIMIT 1
)
UPDATE written_events AS written SET try_at = now() + $2::interval
FROM due, calendars WHERE due.id = written.id AND calendars.id = written.calendar_id
RETURNING written.*, entry_version, calendars.external_id AS calendar
"""
_AT_ONCE = """
UPDATE written_events SET is_retired = true, try_at = NULL WHERE connection_id = $1
"""
_ATTEMPT = "UPDATE written_events SET attempted_at = now() WHERE id = $1"
_DONE = """
UPDATE written_events
SET version = version + $2, try_at = NULL, failures = 0, last_error = NULL, failure_told = false,
    handled_version = CASE WHEN appointment_id = $3 THEN $4::integer END
WHERE id = $1 RETURNING version
"""
_WRITTEN = """
UPDATE written_events
SET external_id = $2, etag = $3, written_hash = $4, starts_at = $5, ends_at = $6,
    written_at = now(), drift = NULL, drift_at = NULL,
    repairs = CASE WHEN $7 THEN repairs ELSE 0 END
WHERE id = $1
"""
_FAILED = """
UPDATE written_events
SET failures = failures + 1, last_error = $2, try_at = $3,
    failure_told = failure_told OR $4, version = version + CASE WHEN $4 THEN 1 ELSE 0 END
WHERE id = $1 RETURNING version
"""
_GONE = "DELETE FROM written_events WHERE id = $1 RETURNING version"
_FIRST_SEQUENCE = datetime(2020, 1, 1, tzinfo=UTC)
"""Versions begin anew with each appointment that is moved; seconds grow, and fit in 31 bits."""
_IN_TIME = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    id: UUID
    version: int
    connection_id: UUID
    calendar_id: UUID
    appointment_id: UUID
    is_retired: bool
    handled_version: int | None
    try_at: datetime
    attempted_at: datetime | None
    failures: int
    last_error: str | None
    failure_told: bool
    external_id: str | None
    etag: str | None
    written_hash: bytes | None
    starts_at: datetime | None
    ends_at: datetime | None
    written_at: datetime | None
    drift: str | None
    drift_at: datetime | None
    repairs: int
    entry_version: int | None
    calendar: str


@dataclass(frozen=True, slots=True)
class Writing:
    """What is written in one visit."""

    database: Database
    account: Account
    lease: Lease
    host: str

    async def write_due(self) -> None:
        """Bring the calendar to where the appointments are; a failure that is about the whole
        account ends it, one that is about an event only delays that event."""
        await self._plan()
        while (due := await self._next()) is not None:
            try:
                await self._bring(due)
            except (Refused, NotFound) as error:
                pause = back_off(due.failures + 1, None, 0.5)
                await self._fail(due, error.reason, pause=pause, tell=not due.failure_told)
            except Temporary as error:
                tell = due.failures + 1 >= _PATIENCE and not due.failure_told
                await self._fail(due, error.reason, pause=timedelta(), tell=tell)
                raise

    async def remove_all(self) -> None:
        """Every event of ours out of the account; what is refused stays and is not ours to mend."""
        async with self.lease.transaction(self.database) as db:
            await db.execute(_AT_ONCE, self.lease.id)
        while (due := await self._next()) is not None:
            try:
                await self._remove(due)
            except (Refused, NotFound):
                async with self.lease.transaction(self.database) as db:
                    await db.execute(_GONE, due.id)

    async def _plan(self) -> None:
        async with self.lease.transaction(self.database) as db:
            await db.execute(_FORGET, self.lease.id, _KEPT)
            missing = await db.fetch(_MISSING, self.lease.id, self.lease.provider_id)
            await db.executemany(
                _PLAN,
                [
                    (new_id(), self.lease.id, row["calendar_id"], row["appointment_id"])
                    for row in missing
                ],
            )

    async def _next(self) -> _Due | None:
        async with self.lease.transaction(self.database) as db:
            row = await db.fetchrow(_NEXT, self.lease.id, _IN_TIME)
            return _Due(**dict(row)) if row else None

    async def _bring(self, due: _Due) -> None:
        async with self.lease.transaction(self.database) as db:
            entry = await queries.entry(db, due.appointment_id)
        if due.is_retired or entry is None or entry.status in (Status.CANCELLED, Status.PENDING):
            await self._remove(due)
        else:
            await self._put(due, our_event(due.id, entry, self.host), entry.version)

    async def _put(self, due: _Due, event: OurEvent, entry_version: int) -> None:
        content = _digest(event)
        if due.written_hash == content:
            async with self.lease.transaction(self.database) as db:
                await db.execute(_DONE, due.id, 0, due.appointment_id, entry_version)
            return
        await self._note_attempt(due)
        written = await self._put_remotely(due, event)
        is_repair = due.drift is not None
        async with self.lease.transaction(self.database) as db:
            await db.execute(
                _WRITTEN, due.id, *_as_row(written), content, event.start, event.end, is_repair
            )
            version = await db.fetchval(_DONE, due.id, 1, due.appointment_id, entry_version)
            action = "repaired" if is_repair else "updated" if due.written_at else "created"
            await self._tell_written(db, due, version, action)

    async def _put_remotely(self, due: _Due, event: OurEvent) -> Written:
        try:
            return await self.account.put(due.calendar, event, etag=due.etag)
        except Stale:
            # Somebody was there since; what we have to say is newer, so it is said again.
            return await self.account.put(due.calendar, event, etag=None)

    async def _remove(self, due: _Due) -> None:
        if due.attempted_at is not None:
            await self.account.remove(due.calendar, due.id, due.external_id)
        async with self.lease.transaction(self.database) as db:
            version = await db.fetchval(_GONE, due.id)
            if due.written_at is not None and version is not None:
                await self._tell_written(db, due, version + 1, "removed")

    async def _note_attempt(self, due: _Due) -> None:
        if due.attempted_at is None:
            async with self.lease.transaction(self.database) as db:
                await db.execute(_ATTEMPT, due.id)

    async def _fail(self, due: _Due, reason: str, *, pause: timedelta, tell: bool) -> None:
        async with self.lease.transaction(self.database) as db:
            try_at = await db.fetchval("SELECT now() + $1::interval", pause)
            version = await db.fetchval(_FAILED, due.id, reason, try_at, tell)
            if tell:
                await outbox.put(
                    db, CalendarEventFailed(**await self._fixed(db, due, version), reason=reason)
                )

    async def _tell_written(self, db: Connection, due: _Due, version: int, action: str) -> None:
        fixed = await self._fixed(db, due, version)
        await outbox.put(db, CalendarEventWritten(**fixed, action=action))

    async def _fixed(self, db: Connection, due: _Due, version: int) -> dict[str, Any]:
        return {
            "id": due.id,
            "version": version,
            "appointment_id": due.appointment_id,
            "provider_id": self.lease.provider_id,
            "connection_id": self.lease.id,
            "kind": self.lease.kind,
            "at": await db.fetchval("SELECT now()"),
        }


def our_event(key: UUID, entry: Entry, host: str) -> OurEvent:
    """In words that anybody may see: calendars are shown to others."""
    words = wording.neutral(entry)
    return OurEvent(
        key=key,
        uid=f"{key}@{host}",
        start=entry.starts_at,
        end=entry.ends_at,
        summary=words.summary,
        location=words.location,
        description=words.description,
        sequence=int((entry.changed_at - _FIRST_SEQUENCE).total_seconds()),
        changed_at=entry.changed_at,
    )


def _digest(event: OurEvent) -> bytes:
    shown = (event.start, event.end, event.summary, event.location, event.description)
    return hashlib.sha256(repr(shown).encode()).digest()


def _as_row(written: Written) -> tuple[str, str | None]:
    return written.id, written.etag
