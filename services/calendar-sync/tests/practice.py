"""A provider with a connected calendar, and what others have been told of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from calendar_sync.calendars.contract import RemoteCalendar
from calendar_sync.sync.visit import Visits
from calendar_sync.sync.visitor import Visitor
from calendar_sync.use_cases.connect import Opened, connect
from calendar_sync.vault import Vault
from shared.db import Database
from shared.events.calendar import CalendarBusyChanged
from shared.events.registry import EVENT_TYPES
from shared.testing.run import TODAY

from .remote import Remote

HOST = "clinic.example"
KEYS = "test:dGVzdC1rZXktdGVzdC1rZXktdGVzdC1rZXktdGVzdC0="
POLL = timedelta(minutes=5)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass
class Practice:
    """One worker, one connection; its clock is the database's, moved by what is due."""

    database: Database
    provider_id: UUID
    remote: Remote
    id: UUID
    visitor: Visitor
    seen: int = 0
    known: dict[datetime, set[tuple[str, datetime, datetime]]] = field(default_factory=dict)

    async def visit(self, *, wait: bool = True) -> None:
        """The next visit, whenever it would be; and it ends."""
        if wait:
            await self.sql("UPDATE connections SET next_visit_at = now(), not_before = NULL")
            await self.sql("UPDATE written_events SET try_at = now() WHERE try_at IS NOT NULL")
        await self.visitor.tick()
        await self.visitor.idle()
        assert not await self.sql("SELECT FROM connections WHERE last_error = 'internal_error'")

    async def sql(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        async with self.database.autocommit() as db:
            return [dict(row) for row in await db.fetch(statement, *values)]

    async def row(self) -> dict[str, Any]:
        (row,) = await self.sql("SELECT * FROM connections WHERE id = $1", self.id)
        return row

    async def told(self) -> list[Any]:
        """Events since the last time this was asked, oldest first."""
        rows = await self.sql(
            "SELECT position, type, data FROM outbox WHERE position > $1 ORDER BY position",
            self.seen,
        )
        self.seen = max([self.seen, *(row["position"] for row in rows)])
        return [EVENT_TYPES[row["type"]].model_validate(row["data"]) for row in rows]

    async def told_types(self) -> list[str]:
        return [event.type.removeprefix("calendar.") for event in await self.told()]

    async def busy(self) -> list[tuple[datetime, datetime]]:
        """When others take the provider for busy, by all that they have been told."""
        for event in await self.told():
            if isinstance(event, CalendarBusyChanged):
                self.known[event.start] = {
                    (each.external_id, each.start, each.end) for each in event.busy
                }
        return sorted((start, end) for busy in self.known.values() for _, start, end in busy)


Open = Callable[..., Awaitable[Practice]]


async def a_practice(
    database: Database,
    provider_id: UUID,
    remote: Remote,
    *,
    calendars: tuple[str, ...] = ("main",),
    at_once: int = 5,
    push_origin: str | None = None,
) -> Practice:
    """Connected, and not visited yet; the first calendar is the one that is written to."""
    vault = Vault.of(KEYS)
    for name in calendars:
        remote.calendar(name)
    opened = Opened(
        kind=remote.name,
        account="doctor@example.com",
        place="calendar.example",
        identity="doctor@example.com",
        credentials={"token": "1"},
        calendars=[
            RemoteCalendar(id=name, name=name, timezone="Europe/Athens", is_writable=True)
            for name in calendars
        ],
    )
    async with database.transaction() as db:
        id_ = await connect(db, provider_id, opened, vault)
    visits = Visits(database, {remote.name: remote}, vault, HOST, POLL, push_origin)
    return Practice(database, provider_id, remote, id_, Visitor(database, visits, at_once))


def in_days(days: float, hour: float = 9) -> datetime:
    """A whole hour some days from today."""
    midnight = TODAY.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + days * DAY + hour * HOUR
