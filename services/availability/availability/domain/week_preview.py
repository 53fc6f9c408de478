"""What weekly windows come to on certain days, in the local time they are written in."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from availability.domain.intervals import Interval
from availability.domain.local_time import day_of, instant, moment
from availability.domain.opening_hours import Opening, WeeklyHours, opening_hours
from availability.domain.resources import Mode, Place
from availability.domain.schedule import (
    AvailabilityException,
    ExceptionKind,
    ScheduleRule,
    Scope,
)

_NOBODY = UUID(int=0)


class LocalSlot(NamedTuple):
    """As the clock on the wall shows it; the midnight at the end of a day is 24:00."""

    start_local: str
    end_local: str


class PreviewedDay(NamedTuple):
    """The windows that are in force on one day, in the order of the form."""

    on: date
    windows: Sequence[tuple[ScheduleRule, Sequence[LocalSlot]]]


class WeekPreview(NamedTuple):
    days: list[PreviewedDay]
    joined: list[Interval]
    """The open minutes of all these days together."""
    is_cut: bool
    """Whether a blocked exception took something away."""


def preview(
    rules: Sequence[ScheduleRule],
    exceptions: Iterable[AvailabilityException],
    first_on: date,
    last_on: date,
) -> WeekPreview:
    """Rules of one scope and zone, cut into slots of their interval, day by day.

    A blocked exception counts when it covers everything that the scope does.
    """
    if not rules:
        return WeekPreview([], [], is_cut=False)
    scope, zone = rules[0].scope, rules[0].timezone
    place = _all_of(scope)
    weekly = WeeklyHours([_unscoped(rule) for rule in rules], place)
    span = (instant(zone, first_on.toordinal(), 0), instant(zone, last_on.toordinal() + 1, 0))
    blocked = [each for each in exceptions if each.kind is ExceptionKind.BLOCKED]
    hours = opening_hours(weekly, blocked, place, *span)
    openings: dict[tuple[int, UUID], list[Opening]] = {}
    for opening in hours.openings:
        openings.setdefault((day_of(zone, opening.start), opening.source_id), []).append(opening)
    days = [
        PreviewedDay(
            date.fromordinal(day),
            [
                (
                    rule,
                    [
                        slot
                        for opening in openings.get((day, rule.id), ())
                        for slot in _slots(opening, zone, day)
                    ],
                )
                for rule in in_force
            ],
        )
        for day in range(first_on.toordinal(), last_on.toordinal() + 1)
        if (in_force := [rule for rule in rules if _is_in_force(rule, day)])
    ]
    uncut = opening_hours(weekly, (), place, *span).openings
    return WeekPreview(days, hours.joined, is_cut=hours.openings != uncut)


def _all_of(scope: Scope) -> Place:
    """A place that stands for everything the scope is about: what covers it covers all of that."""
    return Place(
        scope.service_id or _NOBODY,
        scope.mode or Mode.IN_PERSON,
        scope.location_id,
        frozenset({scope.room_id} if scope.room_id else ()),
    )


def _unscoped(rule: ScheduleRule) -> ScheduleRule:
    return ScheduleRule(
        id=rule.id,
        weekday=rule.weekday,
        start=rule.start,
        end=rule.end,
        slot_interval=rule.slot_interval,
        timezone=rule.timezone,
        breaks=rule.breaks,
        priority=rule.priority,
        effective_from=rule.effective_from,
        effective_to=rule.effective_to,
        created_order=rule.created_order,
    )


def _is_in_force(rule: ScheduleRule, day: int) -> bool:
    on = date.fromordinal(day)
    return on.isoweekday() == rule.weekday and (rule.effective_from or date.min) <= on <= (
        rule.effective_to or date.max
    )


def _slots(opening: Opening, zone: str, day: int) -> Iterator[LocalSlot]:
    first = opening.start + (opening.grid_from - opening.start) % opening.grid
    midnight = instant(zone, day + 1, 0)
    for start in range(first, opening.end - opening.grid + 1, opening.grid):
        end = start + opening.grid
        yield LocalSlot(_clock(zone, start), "24:00" if end == midnight else _clock(zone, end))


def _clock(zone: str, at: int) -> str:
    return f"{moment(at).astimezone(ZoneInfo(zone)):%H:%M}"
