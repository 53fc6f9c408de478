"""A provider sets when people are told of the appointments of one type."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from notifications.domain.schedule import Line, lines_later
from notifications.refusals import TooManySchedules
from notifications.schedules import as_json, lines_of
from shared.db import Connection

MOST = 500


@dataclass(frozen=True, slots=True)
class Schedule:
    lines: list[Line]
    updated_at: datetime | None
    """None when these are the default's."""


async def schedule_of(db: Connection, provider_id: UUID, service_id: UUID) -> Schedule:
    row = await db.fetchrow(
        """
        SELECT lines, updated_at FROM notification_schedules
        WHERE provider_id = $1 AND service_id = $2
        """,
        provider_id,
        service_id,
    )
    if row is None:
        return Schedule(lines_later(None), None)
    return Schedule(lines_later(lines_of(row["lines"])), row["updated_at"])


async def set_schedule(
    db: Connection, provider_id: UUID, service_id: UUID, lines: list[Line]
) -> Schedule:
    """For what is booked, approved or changed from now on; raises TooManySchedules."""
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 1))", str(provider_id))
    others = await db.fetchval(
        "SELECT count(*) FROM notification_schedules WHERE provider_id = $1 AND service_id <> $2",
        provider_id,
        service_id,
    )
    if others >= MOST:
        raise TooManySchedules(f"{MOST} have some already; take one of them away first")
    await db.execute(
        """
        INSERT INTO notification_schedules (provider_id, service_id, lines) VALUES ($1, $2, $3)
        ON CONFLICT (provider_id, service_id) DO UPDATE
        SET lines = excluded.lines, updated_at = now()
        """,
        provider_id,
        service_id,
        as_json(lines),
    )
    return await schedule_of(db, provider_id, service_id)


async def drop_schedule(db: Connection, provider_id: UUID, service_id: UUID) -> None:
    """Back to the default."""
    await db.execute(
        "DELETE FROM notification_schedules WHERE provider_id = $1 AND service_id = $2",
        provider_id,
        service_id,
    )
