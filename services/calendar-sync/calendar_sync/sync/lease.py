"""The lease of a connection: only who holds it talks to the account, one at a time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from shared.db import Connection, Database
from shared.events.calendar import CalendarKind

LEASE = timedelta(minutes=2)
"""Longer than any one call takes; it is renewed with everything that is kept."""

_CLAIM = """
WITH due AS (
    SELECT id FROM connections
    WHERE state <> 'broken' AND next_visit_at <= now()
        AND (lease_until IS NULL OR lease_until < now())
    ORDER BY next_visit_at LIMIT $1
    FOR UPDATE SKIP LOCKED
)
UPDATE connections SET lease_id = gen_random_uuid(), lease_until = now() + $2::interval
FROM due WHERE connections.id = due.id
RETURNING connections.id, provider_id, kind, state, lease_id, nudges, failures, credentials,
    on_drift, tentative_is_busy, removes_events, ended_at, now() AS began_at
"""
_HOLD = """
UPDATE connections SET lease_until = now() + $4::interval
WHERE id = $1 AND lease_id = $2 AND state = $3
RETURNING true
"""
_LET_GO = """
UPDATE connections SET lease_id = NULL, lease_until = NULL WHERE id = $1 AND lease_id = $2
"""
_NUDGE = """
UPDATE connections
SET nudges = nudges + 1, next_visit_at = greatest(least(next_visit_at, now()), not_before)
WHERE id = ANY ($1::uuid[]) AND state <> 'broken'
"""


class Overtaken(Exception):
    """The lease has gone to somebody else, or the connection is no longer what it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A connection as it was when the visit began."""

    id: UUID
    provider_id: UUID
    kind: CalendarKind
    state: str
    lease_id: UUID
    nudges: int
    failures: int
    credentials: str
    on_drift: str
    tentative_is_busy: bool
    removes_events: bool
    ended_at: datetime | None
    began_at: datetime

    @asynccontextmanager
    async def transaction(self, database: Database) -> AsyncIterator[Connection]:
        """Renews the lease and locks the connection; raises Overtaken when it is not ours."""
        async with database.transaction() as db:
            if not await db.fetchval(_HOLD, self.id, self.lease_id, self.state, LEASE):
                raise Overtaken
            yield db


async def claim(database: Database, most: int) -> Sequence[Lease]:
    """Connections that are due and that nobody visits; nobody else gets them meanwhile."""
    async with database.transaction() as db:
        return [Lease(**dict(row)) for row in await db.fetch(_CLAIM, most, LEASE)]


async def let_go(database: Database, lease: Lease) -> None:
    """Whoever comes next need not wait for the lease's end."""
    async with database.autocommit() as db:
        await db.execute(_LET_GO, lease.id, lease.lease_id)


async def nudge(db: Connection, *connection_ids: UUID) -> None:
    """Visit them soon, also when somebody is there right now; many nudges are one visit."""
    await db.execute(_NUDGE, list(connection_ids))
