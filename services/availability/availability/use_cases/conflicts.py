"""Telling that a change has put appointments outside of what the provider says about their time.

A use case takes a `Watch` before it changes anything and lets it tell afterwards, in the same
transaction and after the change has been noted (see `changes.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from availability.domain.conflicts import Booked, Hours, fallen_out, newly_met
from availability.domain.local_time import minutes_down, minutes_up
from availability.domain.resources import Mode
from availability.domain.schedule import AvailabilityException, Break, ExceptionKind, Scope
from availability.domain.schedule import ScheduleRule as Rule
from availability.models import AvailabilityException as StoredException
from availability.models import ScheduleRule, schedule_rule_breaks, schedule_versions
from shared.db import Connection
from shared.events.availability import ConflictFound, ConflictingAppointment
from shared.messaging import outbox

MOST_NAMED = 2000
"""So many appointments does one event name; it stays far below what a message may hold."""

Cause = Literal["rules", "exception", "time_off", "external_busy"]
Span = tuple[datetime, datetime]

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
_VERSION = "SELECT version FROM schedule_versions WHERE provider_id = $1"


@dataclass(frozen=True, slots=True)
class Watch:
    """The appointments to come, as far as a span of time is concerned, and the hours up to now."""

    provider_id: UUID
    booked: Sequence[Booked]
    before: Hours

    @classmethod
    async def begin(cls, db: AsyncSession, provider_id: UUID, span: Span | None = None) -> Self:
        """Only appointments near ``span`` are looked at; all that are to come, when it is None."""
        booked = await booked_by(db, provider_id, span)
        before = await hours_of(db, provider_id) if booked else Hours((), ())
        return cls(provider_id, booked, before)

    async def tell(self, db: AsyncSession, cause: Cause, cause_id: UUID | None = None) -> None:
        """Announce, once, which of them have fallen out of the hours by now."""
        if not self.booked:
            return
        await db.flush()
        hit = fallen_out(self.booked, self.before, await hours_of(db, self.provider_id))
        if hit:
            version = await db.scalar(
                select(schedule_versions.c.version).where(
                    schedule_versions.c.provider_id == self.provider_id
                )
            )
            await outbox.add(db, _event(self.provider_id, version or 0, cause, cause_id, hit))


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


async def booked_by(db: AsyncSession, provider_id: UUID, span: Span | None = None) -> list[Booked]:
    """The appointments that are still to come, pending or confirmed, in order."""
    since, until = span or (None, None)
    connection = await db.connection()
    rows = await connection.exec_driver_sql(_BOOKED, (provider_id, since, until))
    return [_booked(row) for row in rows]


async def hours_of(db: AsyncSession, provider_id: UUID) -> Hours:
    """The rules and exceptions that still matter for what is to come."""
    breaks: dict[UUID, list[Break]] = {}
    columns = schedule_rule_breaks.c
    for row in await db.execute(
        select(columns.schedule_rule_id, columns.start_minute, columns.end_minute, columns.id)
        .join(ScheduleRule, ScheduleRule.id == columns.schedule_rule_id)
        .where(ScheduleRule.provider_id == provider_id)
        .order_by(columns.start_minute)
    ):
        breaks.setdefault(row[0], []).append(Break(*row[1:]))
    rules = await db.scalars(
        select(ScheduleRule)
        .where(ScheduleRule.provider_id == provider_id, ScheduleRule.is_active)
        .execution_options(populate_existing=True)
    )
    exceptions = await db.scalars(
        select(StoredException).where(
            StoredException.provider_id == provider_id,
            StoredException.ends_at > func.now() - func.make_interval(0, 0, 0, 3),
        )
    )
    return Hours(
        [_rule(rule, breaks.get(rule.id, [])) for rule in rules],
        [exception_of(each) for each in exceptions],
    )


def exception_of(stored: StoredException) -> AvailabilityException:
    return AvailabilityException.between(
        stored.starts_at,
        stored.ends_at,
        id_=stored.id,
        kind=ExceptionKind(stored.kind),
        scope=Scope(
            stored.scope_appointment_type_id, stored.scope_location_id, stored.scope_room_id
        ),
        created_at=stored.created_at,
    )


def _rule(stored: ScheduleRule, breaks: Sequence[Break]) -> Rule:
    return Rule(
        id=stored.id,
        weekday=stored.weekday,
        start=stored.start_minute,
        end=stored.end_minute,
        slot_interval=stored.slot_interval_minutes,
        timezone=stored.timezone,
        breaks=tuple(breaks),
        scope=Scope(
            stored.scope_appointment_type_id,
            stored.scope_location_id,
            stored.scope_room_id,
            Mode(stored.scope_mode) if stored.scope_mode else None,
        ),
        priority=stored.priority,
        effective_from=stored.effective_from,
        effective_to=stored.effective_to,
        created_order=int(stored.created_at.timestamp() * 1_000_000),
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
