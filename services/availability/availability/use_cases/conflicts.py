"""Telling that a change has put appointments outside of what the provider says about their time.

A use case takes a `Watch` before it changes anything and lets it tell afterwards, in the same
transaction and after the change has been noted (see `changes.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, Self, TypeAlias
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from availability.domain.conflicts import Booked, Hours, fallen_out, newly_met
from availability.domain.local_time import minutes_down, minutes_up
from availability.domain.resources import Mode
from availability.domain.schedule import AvailabilityException, Break, ExceptionKind, Scope
from availability.domain.schedule import ScheduleRule as Rule
from shared.db import Connection
from shared.events.availability import ConflictFound, ConflictingAppointment
from shared.messaging import outbox

MOST_NAMED = 2000
"""So many appointments does one event name; it stays far below what a message may hold."""

Cause = Literal["rules", "exception", "time_off", "external_busy"]
Span = tuple[datetime, datetime]
Way: TypeAlias = "AsyncSession | Connection"
"""To the database, inside of the transaction that makes the change."""

# What an appointment claims is the truth about its buffers: they were those of its booking.
_BOOKED = """
SELECT a.id, a.status, a.user_id, a.service_id, a.starts_at, a.ends_at, a.mode, a.location_id,
    coalesce(a.room_id, (
        SELECT unit.room_id FROM claims JOIN resources unit ON unit.id = claims.resource_id
        WHERE claims.appointment_id = a.id AND unit.kind = 'room' LIMIT 1
    )),
    coalesce((SELECT min(starts_at) FROM claims WHERE appointment_id = a.id), a.starts_at),
    coalesce((SELECT max(ends_at) FROM claims WHERE appointment_id = a.id), a.ends_at)
FROM appointments a
WHERE a.provider_id = $1 AND a.status IN ('pending', 'confirmed') AND a.starts_at > now()
    AND a.starts_at < coalesce($3, 'infinity'::timestamptz) + interval '1 day'
    AND a.ends_at > coalesce($2, '-infinity'::timestamptz) - interval '1 day'
ORDER BY a.starts_at, a.id
"""
_RULES = """
SELECT id, weekday, start_minute, end_minute, slot_interval_minutes, timezone,
    scope_appointment_type_id, scope_location_id, scope_room_id, scope_mode, priority,
    effective_from, effective_to, created_at
FROM schedule_rules WHERE provider_id = $1 AND is_active
"""
_BREAKS = """
SELECT schedule_rule_id, pause.start_minute, pause.end_minute, pause.id
FROM schedule_rule_breaks pause JOIN schedule_rules rule ON rule.id = schedule_rule_id
WHERE rule.provider_id = $1 ORDER BY pause.start_minute
"""
_EXCEPTIONS = """
SELECT starts_at, ends_at, id, kind, scope_appointment_type_id, scope_location_id, scope_room_id,
    created_at
FROM availability_exceptions WHERE provider_id = $1 AND ends_at > now() - interval '3 days'
"""
_VERSION = "SELECT version FROM schedule_versions WHERE provider_id = $1"


@dataclass(frozen=True, slots=True)
class Watch:
    """The appointments to come, as far as a span of time is concerned, and the hours up to now."""

    provider_id: UUID
    booked: Sequence[Booked]
    before: Hours

    @classmethod
    async def begin(cls, db: Way, provider_id: UUID, span: Span | None = None) -> Self:
        """Only appointments near ``span`` are looked at; all that are to come, when it is None."""
        booked = await booked_by(db, provider_id, span)
        before = await hours_of(db, provider_id) if booked else Hours((), ())
        return cls(provider_id, booked, before)

    async def tell(self, db: Way, cause: Cause, cause_id: UUID | None = None) -> None:
        """Announce, once, which of them have fallen out of the hours by now."""
        if not self.booked:
            return
        hit = fallen_out(self.booked, self.before, await hours_of(db, self.provider_id))
        if not hit:
            return
        [(version,)] = await _rows(db, _VERSION, self.provider_id)
        event = _event(self.provider_id, version, cause, cause_id, hit)
        if isinstance(db, AsyncSession):
            await outbox.add(db, event)
        else:
            await outbox.put(db, event)


async def announce_busy_conflicts(
    db: Connection,
    provider_id: UUID,
    connection_id: UUID,
    *,
    before: Iterable[Span],
    after: Iterable[Span],
) -> None:
    """Announce, once, which appointments a calendar's busy times overlap that did not before.

    ``before`` and ``after`` are all busy times of the calendar in the span that has been told anew;
    the change must have been noted already.
    """
    known, busy = [_minutes(each) for each in before], [*after]
    if not busy:
        return
    span = (min(start for start, _ in busy), max(end for _, end in busy))
    booked = [_booked(row) for row in await db.fetch(_BOOKED, provider_id, *span)]
    if hit := newly_met(booked, known, [_minutes(each) for each in busy]):
        version = await db.fetchval(_VERSION, provider_id)
        await outbox.put(db, _event(provider_id, version or 0, "external_busy", connection_id, hit))


async def booked_by(db: Way, provider_id: UUID, span: Span | None = None) -> list[Booked]:
    """The appointments that are still to come, pending or confirmed, in order."""
    since, until = span or (None, None)
    return [_booked(row) for row in await _rows(db, _BOOKED, provider_id, since, until)]


async def hours_of(db: Way, provider_id: UUID) -> Hours:
    """The rules and exceptions that still matter for what is to come."""
    breaks: dict[UUID, list[Break]] = {}
    for rule_id, *each in await _rows(db, _BREAKS, provider_id):
        breaks.setdefault(rule_id, []).append(Break(*each))
    rules = await _rows(db, _RULES, provider_id)
    exceptions = await _rows(db, _EXCEPTIONS, provider_id)
    return Hours(
        [_rule(row, breaks.get(row[0], [])) for row in rules],
        [_exception(row) for row in exceptions],
    )


async def _rows(db: Way, statement: str, *values: object) -> Sequence[Any]:
    """What is written up to now, read by position."""
    if not isinstance(db, AsyncSession):
        return await db.fetch(statement, *values)
    await db.flush()
    connection = await db.connection()
    return (await connection.exec_driver_sql(statement, values)).all()


def _exception(row: Any) -> AvailabilityException:
    start, end, id_, kind, type_id, location_id, room_id, created_at = row
    return AvailabilityException.between(
        start,
        end,
        id_=id_,
        kind=ExceptionKind(kind),
        scope=Scope(type_id, location_id, room_id),
        created_at=created_at,
    )


def _rule(row: Any, breaks: Sequence[Break]) -> Rule:
    id_, weekday, start, end, interval, timezone, *row = row
    type_id, location_id, room_id, mode, priority, since, until, at = row
    return Rule(
        id=id_,
        weekday=weekday,
        start=start,
        end=end,
        slot_interval=interval,
        timezone=timezone,
        breaks=tuple(breaks),
        scope=Scope(type_id, location_id, room_id, Mode(mode) if mode else None),
        priority=priority,
        effective_from=since,
        effective_to=until,
        created_order=int(at.timestamp() * 1_000_000),
    )


def _booked(row: Any) -> Booked:
    id_, status, user_id, service_id, start, end, mode, location_id, room_id, *claimed = row
    return Booked(
        id=id_,
        status=status,
        user_id=user_id,
        service_id=service_id,
        start=start,
        end=end,
        mode=Mode(mode),
        location_id=location_id,
        room_id=room_id,
        claim=(minutes_down(claimed[0]), minutes_up(claimed[1])),
    )


def _minutes(span: Span) -> tuple[int, int]:
    return minutes_down(span[0]), minutes_up(span[1])


def _event(
    provider_id: UUID, version: int, cause: Cause, cause_id: UUID | None, hit: Sequence[Booked]
) -> ConflictFound:
    return ConflictFound(
        provider_id=provider_id,
        version=version,
        cause=cause,
        cause_id=cause_id,
        is_complete=len(hit) <= MOST_NAMED,
        appointments=[
            ConflictingAppointment.model_validate(asdict(each) | {"mode": each.mode.value})
            for each in hit[:MOST_NAMED]
        ],
    )
