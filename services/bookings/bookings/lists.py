"""Lists of appointments: a page costs the same wherever it lies and however long the list is."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bookings.domain.appointment import Appointment
from bookings.models import HAS_ENDED, IS_BOOKED
from bookings.rows import REST_OF_A, appointment_of
from shared.clock import database_now
from shared.cursors import Position
from shared.db import Connection

_EXAMINED = 1000
"""How many appointments one page of a filtered list looks through at most."""

# Where nothing has been shown yet. A comparison with a constant uses the index under any plan;
# "$2 IS NULL OR ..." would not, once PostgreSQL has made a generic one.
_FIRST = f"(coalesce($2, '-infinity'::timestamptz), coalesce($3, '{UUID(int=0)}'::uuid))"
_LAST = f"(coalesce($2, 'infinity'::timestamptz), coalesce($3, '{UUID(int=2**128 - 1)}'::uuid))"

_UPCOMING = f"""
SELECT a.*, {REST_OF_A} FROM appointments a
WHERE patient_id = $1 AND {IS_BOOKED} AND starts_at >= now() AND (starts_at, id) > {_FIRST}
ORDER BY starts_at, id LIMIT $4
"""
# A cancelled appointment is history, whenever it would have been.
_HISTORY = f"""
SELECT a.*, {REST_OF_A} FROM (
    (
        SELECT * FROM appointments
        WHERE patient_id = $1 AND {IS_BOOKED} AND starts_at < now() AND (starts_at, id) < {_LAST}
        ORDER BY starts_at DESC, id DESC LIMIT $4
    ) UNION ALL (
        SELECT * FROM appointments
        WHERE patient_id = $1 AND ({HAS_ENDED}) AND (starts_at, id) < {_LAST}
        ORDER BY starts_at DESC, id DESC LIMIT $4
    )
) a ORDER BY starts_at DESC, id DESC LIMIT $4
"""
# The index carries all that is filtered by, so looking through it reads no appointments; and it is
# read no further than the page needs. Only a page that is not full asks how far it was read.
_OF_PROVIDER = f"""
WITH examined AS NOT MATERIALIZED (
    SELECT id, starts_at, status, service_id, location_id FROM appointments
    WHERE provider_id = $1 AND ({IS_BOOKED} OR {HAS_ENDED}) AND (starts_at, id) > {_FIRST}
      AND starts_at >= coalesce($4, '-infinity'::timestamptz)
      AND starts_at < coalesce($5, 'infinity'::timestamptz)
    ORDER BY starts_at, id LIMIT $10
), shown AS MATERIALIZED (
    SELECT id, starts_at FROM examined
    WHERE ($6::text[] IS NULL OR status = ANY ($6))
      AND ($7::uuid IS NULL OR service_id = $7)
      AND ($8::uuid IS NULL OR location_id = $8)
    ORDER BY starts_at, id LIMIT $9
)
SELECT
    now() AS now,
    CASE WHEN (SELECT count(*) FROM shown) < $9 THEN
        (SELECT (starts_at, id) FROM examined ORDER BY starts_at, id OFFSET $10 - 1)
    END AS border,
    a.*, {REST_OF_A}
FROM (VALUES (1)) AS always
LEFT JOIN (shown JOIN appointments a ON a.id = shown.id) ON true
ORDER BY shown.starts_at, shown.id
"""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, where the next part begins, and the database's clock as it was read."""

    appointments: list[Appointment]
    after: Position | None
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Which of a provider's appointments are wanted: starts in ``[start, end)``, and filters."""

    start: datetime | None = None
    end: datetime | None = None
    statuses: list[str] | None = None
    service_id: UUID | None = None
    location_id: UUID | None = None

    @property
    def is_filtered(self) -> bool:
        return any(
            wanted is not None for wanted in (self.statuses, self.service_id, self.location_id)
        )


async def of_patient(
    db: Connection, patient_id: UUID, *, upcoming: bool, after: Position | None, limit: int
) -> Page:
    """Upcoming ones by start, or past and ended ones newest first; holds are in neither."""
    rows = await db.fetch(
        _UPCOMING if upcoming else _HISTORY,
        patient_id,
        after and after.at,
        after and after.id,
        limit + 1,
    )
    shown = [appointment_of(row) for row in rows[:limit]]
    return Page(shown, _end_of(shown) if len(rows) > limit else None, await database_now(db))


async def of_provider(
    db: Connection, provider_id: UUID, wanted: Schedule, *, after: Position | None, limit: int
) -> Page:
    """By start, without holds. Where few of very many match, a page may hold fewer than ``limit``,
    or none, although others follow."""
    rows = await db.fetch(
        _OF_PROVIDER,
        provider_id,
        after and after.at,
        after and after.id,
        wanted.start,
        wanted.end,
        wanted.statuses,
        wanted.service_id,
        wanted.location_id,
        limit + 1,
        _EXAMINED if wanted.is_filtered else limit + 1,
    )
    found = [appointment_of(row) for row in rows if row["id"] is not None]
    border = rows[0]["border"]
    looked_through = Position(*border) if border else None
    shown = found[:limit]
    more = _end_of(shown) if len(found) > limit else looked_through
    return Page(shown, more, rows[0]["now"])


def _end_of(shown: list[Appointment]) -> Position:
    return Position(shown[-1].start, shown[-1].id)
