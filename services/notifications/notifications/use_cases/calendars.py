"""A provider has something to look after: conflicts with new hours, a calendar that broke."""

from datetime import datetime
from uuid import UUID

from notifications.domain.facts import CalendarFacts, ConflictFacts
from notifications.domain.news import News
from notifications.jobs import planning
from notifications.use_cases.operations import tell_provider
from shared.db import Connection
from shared.events.availability import ConflictFound
from shared.events.calendar import (
    CalendarConnectionBroken,
    CalendarConnectionConnected,
    CalendarConnectionDeleted,
)


async def tell_of_conflict(db: Connection, conflict: ConflictFound, *, at: datetime) -> None:
    """Appointments are outside the provider's hours since ``at``."""
    if conflict.appointments:
        cause = conflict.cause_id or conflict.cause
        await tell_provider(
            db,
            News.CONFLICT_FOUND,
            ConflictFacts.of(conflict),
            key=f"{conflict.provider_id}:{News.CONFLICT_FOUND}:{cause}:{conflict.version}",
            at=at,
        )


async def tell_of_broken_calendar(
    db: Connection, connection: CalendarConnectionBroken, *, at: datetime
) -> None:
    """Once, until the connection has worked again."""
    if await _remember(db, connection.id, connection.version, is_broken=True):
        await tell_provider(
            db,
            News.CALENDAR_BROKEN,
            CalendarFacts.of(connection),
            key=f"{_about(connection.id)}{connection.version}",
            at=at,
        )


async def calendar_is_well(
    db: Connection, connection: CalendarConnectionConnected | CalendarConnectionDeleted
) -> None:
    """It works, or nobody wants it any more: what has not been said of it need not be."""
    if await _remember(db, connection.id, connection.version, is_broken=False):
        await planning.withdraw(
            db,
            _about(connection.id),
            recipient_id=connection.provider_id,
            reason="the calendar works again, or is gone",
        )


def _about(connection_id: UUID) -> str:
    return f"{connection_id}:{News.CALENDAR_BROKEN}:"


async def _remember(db: Connection, id_: UUID, version: int, *, is_broken: bool) -> bool:
    """Whether this is new, and not as it was before."""
    row = await db.fetchrow(
        """
        WITH before AS (SELECT is_broken FROM calendar_connections WHERE id = $1)
        INSERT INTO calendar_connections (id, version, is_broken) VALUES ($1, $2, $3)
        ON CONFLICT (id) DO UPDATE SET version = excluded.version, is_broken = excluded.is_broken
        WHERE calendar_connections.version < excluded.version
        RETURNING coalesce((SELECT is_broken FROM before), false) <> is_broken AS is_changed
        """,
        id_,
        version,
        is_broken,
    )
    return row is not None and row["is_changed"]
