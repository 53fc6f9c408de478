"""When a place is open: rules and exceptions become intervals, each with its own grid of starts.

Every minute has at most one owner. Among rules that is the one with the higher priority, then the
more specific scope, then the older one; and it owns its whole window, so in its break the place is
closed whatever a lower rule says. `blocked` exceptions close minutes of any rule. `available`
exceptions open what is then still closed, and never take a minute from a rule that is open there.

The grid of a rule is counted from the beginning of each interval that is left to it. The grid of an
`available` exception is counted from its own beginning, every 15 minutes, so that it stays where it
is when the hours around it change.

A `blocked` exception of one room closes the intervals whose appointments can be in no other room;
for all others it only puts that room out of use, and an `available` exception of that room ends it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import NamedTuple
from uuid import UUID

from availability.domain.intervals import Interval, merge, remainders, subtract, take
from availability.domain.local_time import day_of, instant, midnights
from availability.domain.resources import Place
from availability.domain.schedule import AvailabilityException, ExceptionKind, ScheduleRule

EXCEPTION_GRID = 15


class Opening(NamedTuple):
    """An interval of one owner; its starts lie on its grid, which may have begun before it."""

    start: int
    end: int
    grid_from: int
    grid: int
    room_id: UUID | None
    source_id: UUID


class Window(NamedTuple):
    """What a rule says about one day, whoever owns its minutes; breaks are in the rule's order."""

    rank: int
    start: int
    end: int
    breaks: list[Interval]
    rule: ScheduleRule


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """Openings in order, the minutes they cover together, and when single rooms are out of use."""

    openings: list[Opening]
    joined: list[Interval]
    rooms_out: dict[UUID, list[Interval]]


class _Ranked(NamedTuple):
    rank: int
    first_day: int
    last_day: int
    rule: ScheduleRule


_Week = list[list[_Ranked]]


class WeeklyHours:
    """The rules that cover one place, by precedence; made once, asked often."""

    def __init__(self, rules: Iterable[ScheduleRule], place: Place) -> None:
        covering = [rule for rule in rules if rule.scope.covers(place)]
        covering.sort(key=lambda rule: rule.precedence)
        self._weeks: dict[str, _Week] = {}
        for rank, rule in enumerate(covering):
            week = self._weeks.setdefault(rule.timezone, [[] for _ in range(7)])
            week[rule.weekday - 1].append(_ranked(rank, rule))
        self._plain_days: dict[tuple[int, ...], list[Opening]] = {}

    def openings(self, start: int, end: int) -> list[Opening]:
        """The openings that have a part in `start <= instant < end`: disjoint, in order, and whole.

        Some before and after may be among them.
        """
        if len(self._weeks) > 1 and start < end:
            return _owned(self.windows(start, end))
        return [
            opening
            for zone, week in self._weeks.items()
            for day, midnight, is_plain in _days(zone, start, end)
            for opening in self._of_day(zone, _in_force(week, day), day, midnight, is_plain)
        ]

    def windows(self, start: int, end: int) -> list[Window]:
        """The windows with a part in these instants, and what overlaps them, by precedence."""
        zones = self._weeks.keys()
        first = min((instant(zone, day_of(zone, start), 0) for zone in zones), default=start)
        after = max((instant(zone, day_of(zone, end - 1) + 1, 0) for zone in zones), default=end)
        found = [
            window
            for zone, week in self._weeks.items()
            for day, _, _ in _days(zone, first, after)
            for window in _windows(_in_force(week, day), partial(instant, zone, day))
        ]
        found.sort(key=lambda window: window.rank)
        return found

    def _of_day(
        self, zone: str, in_force: list[_Ranked], day: int, midnight: int, is_plain: bool
    ) -> list[Opening]:
        if not is_plain:
            return _owned(_windows(in_force, partial(instant, zone, day)))
        ranks = tuple([each.rank for each in in_force])
        openings = self._plain_days.get(ranks)
        if openings is None:
            openings = self._plain_days[ranks] = _owned(_windows(in_force, int))
        return [
            Opening(start + midnight, end + midnight, grid_from + midnight, grid, room, source)
            for start, end, grid_from, grid, room, source in openings
        ]


def opening_hours(
    weekly: WeeklyHours,
    exceptions: Iterable[AvailabilityException],
    place: Place,
    start: int,
    end: int,
) -> OpeningHours:
    """When the place is open, right for every instant of `start <= instant < end`.

    Needs each exception that has a part in these instants or in the two days before and after.
    """
    openings = weekly.openings(start, end)
    blocked: list[AvailabilityException] = []
    available: list[AvailabilityException] = []
    for exception in exceptions:
        if exception.scope.covers(place):
            (blocked if exception.kind is ExceptionKind.BLOCKED else available).append(exception)
    if blocked:
        openings = _without(openings, blocked, place.only_room)
    if available:
        openings = _with(openings, available, start, end)
    return OpeningHours(openings, _joined(openings), _rooms_out(blocked, available))


def _ranked(rank: int, rule: ScheduleRule) -> _Ranked:
    first_on = rule.effective_from or date.min
    last_on = rule.effective_to or date.max
    return _Ranked(rank, first_on.toordinal(), last_on.toordinal(), rule)


def _in_force(week: _Week, day: int) -> list[_Ranked]:
    return [each for each in week[(day - 1) % 7] if each.first_day <= day <= each.last_day]


def _days(zone: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    if start < end:
        yield from midnights(zone, day_of(zone, start), day_of(zone, end - 1))


def _windows(in_force: Iterable[_Ranked], instant_of: Callable[[int], int]) -> Iterator[Window]:
    for rank, _, _, rule in in_force:
        breaks = [(instant_of(each.start), instant_of(each.end)) for each in rule.breaks]
        yield Window(rank, instant_of(rule.start), instant_of(rule.end), breaks, rule)


def _owned(windows: Iterable[Window]) -> list[Opening]:
    taken: list[Interval] = []
    openings = [
        Opening(start, end, start, rule.slot_interval, rule.scope.room_id, rule.id)
        for _, window_start, window_end, breaks, rule in windows
        for start, end in subtract(take(taken, window_start, window_end), merge(breaks))
    ]
    openings.sort(key=_start)
    return openings


def _without(
    openings: list[Opening], blocked: list[AvailabilityException], only_room: UUID | None
) -> list[Opening]:
    spans = [(opening.start, opening.end) for opening in openings]
    left = {
        room_id: list(remainders(spans, _closed(blocked, room_id)))
        for room_id in {opening.room_id or only_room for opening in openings}
    }
    return [
        Opening(start, end, start, grid, room_id, source_id)
        for index, (_, _, _, grid, room_id, source_id) in enumerate(openings)
        for start, end in left[room_id or only_room][index]
    ]


def _closed(blocked: list[AvailabilityException], room_id: UUID | None) -> list[Interval]:
    return merge(
        (each.start, each.end) for each in blocked if each.scope.room_id in (None, room_id)
    )


def _with(
    openings: list[Opening], available: list[AvailabilityException], start: int, end: int
) -> list[Opening]:
    taken = _joined(openings)
    opened = [
        Opening(piece_start, piece_end, each.start, EXCEPTION_GRID, each.scope.room_id, each.id)
        for each in sorted(available, key=lambda each: each.precedence)
        for piece_start, piece_end in take(taken, max(each.start, start), min(each.end, end))
    ]
    return sorted(openings + opened, key=_start)


def _rooms_out(
    blocked: list[AvailabilityException], available: list[AvailabilityException]
) -> dict[UUID, list[Interval]]:
    return {
        room_id: subtract(_of_room(room_id, blocked), _of_room(room_id, available))
        for room_id in {each.scope.room_id for each in blocked}
        if room_id is not None
    }


def _of_room(room_id: UUID, exceptions: list[AvailabilityException]) -> list[Interval]:
    return merge((each.start, each.end) for each in exceptions if each.scope.room_id == room_id)


def _joined(openings: list[Opening]) -> list[Interval]:
    return merge([(opening.start, opening.end) for opening in openings])


def _start(opening: Opening) -> int:
    return opening.start
