"""One visit to an account: write what is due, read what is new, and tell what follows from it."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from time import perf_counter

import orjson
from prometheus_client import Histogram

from calendar_sync.calendars.contract import (
    AccessGone,
    Account,
    CalendarError,
    Credentials,
    Kind,
    NotFound,
    Temporary,
)
from calendar_sync.domain.pace import back_off, next_poll
from calendar_sync.sync import ending, telling
from calendar_sync.sync.channels import tend_channels
from calendar_sync.sync.lease import Lease, Overtaken, let_go
from calendar_sync.sync.listing import list_calendars
from calendar_sync.sync.reading import calendars_to_read, read_calendar
from calendar_sync.sync.writing import Writing
from calendar_sync.vault import Vault
from shared.db import Database
from shared.encryption import NotDecryptable
from shared.events.calendar import CalendarKind
from shared.observability import logger

_SECONDS = Histogram(
    "calendar_visit_duration_seconds",
    "Visits to providers' calendars, by what came of them.",
    ["kind", "outcome"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)

_WELL = """
UPDATE connections
SET read_at = $2, failures = 0, last_error = NULL, last_error_at = NULL, not_before = NULL,
    lease_id = NULL, lease_until = NULL,
    next_visit_at = CASE WHEN nudges = $3 THEN now() + $4::interval ELSE now() END
WHERE id = $1
"""
_FAILED = """
UPDATE connections
SET failures = failures + 1, last_error = $2, last_error_at = now(),
    next_visit_at = now() + $3::interval, not_before = now() + $3::interval
WHERE id = $1
"""
_BROKEN = """
UPDATE connections
SET state = 'broken', broken_because = $2, last_error = $2, last_error_at = now(),
    failures = failures + 1
WHERE id = $1
"""
_GONE = "UPDATE calendars SET is_gone = true WHERE id = $1"


@dataclass(frozen=True, slots=True)
class Visits:
    """What visits are made with."""

    database: Database
    kinds: Mapping[CalendarKind, Kind]
    vault: Vault
    host: str
    poll_every: timedelta
    push_origin: str | None = None
    """Where providers can reach us; None when they cannot, and then everything is polled."""

    async def visit(self, lease: Lease) -> None:
        """Never raises for what a provider does: it is noted, and the next visit is planned."""
        began, outcome = perf_counter(), "failed"
        try:
            await self._visit(lease)
            outcome = "well"
        except Overtaken:
            outcome = "overtaken"
            logger.info("calendar_visit_overtaken", connection=str(lease.id))
        except AccessGone as error:
            outcome = "broken"
            await self._break(lease, error.reason)
        except CalendarError as error:
            asked = error.retry_after if isinstance(error, Temporary) else None
            await self._fail(lease, error.reason, asked)
        except NotDecryptable:
            logger.error("calendar_credentials_unreadable", connection=str(lease.id))
            await self._fail(lease, "credentials_unreadable", None)
        except Exception as error:  # noqa: BLE001 -- the outermost loop of one visit
            logger.error("calendar_visit_failed", connection=str(lease.id), exc_info=error)
            await self._fail(lease, "internal_error", None)
        finally:
            _SECONDS.labels(lease.kind, outcome).observe(perf_counter() - began)
            await let_go(self.database, lease)

    async def _visit(self, lease: Lease) -> None:
        kind = self.kinds.get(lease.kind)
        if kind is None:
            raise Temporary("kind_not_set_up")
        credentials: Credentials = orjson.loads(self.vault.open(lease.id, lease.credentials))

        async def save(renewed: Credentials) -> None:
            sealed = self.vault.seal(lease.id, orjson.dumps(renewed))
            async with lease.transaction(self.database) as db:
                await db.execute(
                    "UPDATE connections SET credentials = $2 WHERE id = $1", lease.id, sealed
                )

        async with kind.open(credentials, save) as account:
            writing = Writing(self.database, account, lease, self.host)
            if lease.state == "disconnecting":
                await ending.end(self.database, account, lease, writing)
                return
            if kind.is_writable:
                await writing.write_due()
            if self.push_origin is not None:
                # What changes from now on is told, and what has changed until now is read.
                address = f"{self.push_origin}/v1/webhooks/calendar/{lease.kind}"
                await tend_channels(self.database, account, lease, address)
            await self._read(lease, account)
            if kind.is_writable:
                # What somebody has done to our events has only just been found out.
                await writing.write_due()
        await self._finish(lease)

    async def _read(self, lease: Lease, account: Account) -> None:
        await list_calendars(self.database, account, lease)
        async with self.database.reading() as db:
            calendars = await calendars_to_read(db, lease.id)
        gone: NotFound | None = None
        for calendar in calendars:
            try:
                await read_calendar(self.database, account, lease, calendar, host=self.host)
            except NotFound as error:
                # What it said last stands, and nobody takes it for well: its owner has to decide.
                gone = error
                async with lease.transaction(self.database) as db:
                    await db.execute(_GONE, calendar.id)
        await telling.tell_busy_times(self.database, lease)
        if gone is not None:
            raise Temporary("calendar_gone") from gone

    async def _finish(self, lease: Lease) -> None:
        pause = next_poll(self.poll_every, random.random())  # noqa: S311 -- spreads load
        async with lease.transaction(self.database) as db:
            await telling.tell_connected(db, lease)
            await db.execute(_WELL, lease.id, lease.began_at, lease.nudges, pause)

    async def _fail(self, lease: Lease, reason: str, asked_for: timedelta | None) -> None:
        logger.warning("calendar_unreachable", connection=str(lease.id), reason=reason)
        chance = random.random()  # noqa: S311 -- spreads load
        pause = back_off(lease.failures + 1, asked_for, chance)
        try:
            async with lease.transaction(self.database) as db:
                await db.execute(_FAILED, lease.id, reason, pause)
        except Overtaken:
            pass

    async def _break(self, lease: Lease, reason: str) -> None:
        if lease.state == "disconnecting":
            await ending.forget(self.database, lease)
            return
        logger.warning("calendar_connection_broken", connection=str(lease.id), reason=reason)
        try:
            async with lease.transaction(self.database) as db:
                await db.execute(_BROKEN, lease.id, reason)
                await telling.tell_broken(db, lease, reason)
        except Overtaken:
            pass
