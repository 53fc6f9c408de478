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


class _Weekday:
    """The rules for one day of the week in one zone, by precedence."""

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._rules: list[_Ranked] = []
        self._always = True
        self._of_plain_days: dict[tuple[int, ...], list[Opening]] = {}
        self._of_uneven_days: dict[int, list[Opening]] = {}

    def add(self, rank: int, rule: ScheduleRule) -> None:
        first_on = rule.effective_from or date.min
        last_on = rule.effective_to or date.max
        self._rules.append(_Ranked(rank, first_on.toordinal(), last_on.toordinal(), rule))
        self._always = self._always and not (rule.effective_from or rule.effective_to)

    def windows(self, day: int) -> list[Window]:
        return _windows(self._in_force(day), partial(instant, self._zone, day))

    def openings(self, day: int, midnight: int, is_plain: bool) -> list[Opening]:
        if not is_plain:
            if day not in self._of_uneven_days:
                self._of_uneven_days[day] = _owned(self.windows(day))
            return self._of_uneven_days[day]
        in_force = self._in_force(day)
        ranks = () if self._always else tuple([each.rank for each in in_force])
        if ranks not in self._of_plain_days:
            self._of_plain_days[ranks] = _owned(_windows(in_force, int))
        return [
            Opening(start + midnight, end + midnight, grid_from + midnight, grid, room, source)
            for start, end, grid_from, grid, room, source in self._of_plain_days[ranks]
        ]

    def _in_force(self, day: int) -> list[_Ranked]:
        if self._always:
            return self._rules
        return [each for each in self._rules if each.first_day <= day <= each.last_day]


class WeeklyHours:
    """The rules that cover one place, by precedence; made once, asked often."""

    def __init__(self, rules: Iterable[ScheduleRule], place: Place) -> None:
        covering = [rule for rule in rules if rule.scope.covers(place)]
        covering.sort(key=lambda rule: rule.precedence)
        self._weeks: dict[str, list[_Weekday]] = {}
        for rank, rule in enumerate(covering):
            if rule.timezone not in self._weeks:
                self._weeks[rule.timezone] = [_Weekday(rule.timezone) for _ in range(7)]
            self._weeks[rule.timezone][rule.weekday - 1].add(rank, rule)

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
            for opening in week[(day - 1) % 7].openings(day, midnight, is_plain)
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
            for window in week[(day - 1) % 7].windows(day)
        ]
        found.sort(key=lambda window: window.rank)
        return found


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
    joined = merge([(opening.start, opening.end) for opening in openings])
    if available:
        openings = sorted(openings + _opened(available, joined, start, end), key=_start)
    return OpeningHours(openings, joined, _rooms_out(blocked, available))


def _days(zone: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    if start < end:
        yield from midnights(zone, day_of(zone, start), day_of(zone, end - 1))


def _windows(in_force: Iterable[_Ranked], instant_of: Callable[[int], int]) -> list[Window]:
    return [
        Window(
            rank,
            instant_of(rule.start),
            instant_of(rule.end),
            [(instant_of(each.start), instant_of(each.end)) for each in rule.breaks],
            rule,
        )
        for rank, _, _, rule in in_force
    ]


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
    pieces = {
        room_id: list(remainders(spans, _closed(blocked, room_id or only_room)))
        for room_id in {opening.room_id for opening in openings}
    }
    left: list[Opening] = []
    for index, opening in enumerate(openings):
        of_opening = pieces[opening.room_id][index]
        if of_opening == [spans[index]]:
            left.append(opening)
        else:
            left += [opening._replace(start=a, end=b, grid_from=a) for a, b in of_opening]
    return left


def _closed(blocked: list[AvailabilityException], room_id: UUID | None) -> list[Interval]:
    return merge(
        (each.start, each.end) for each in blocked if each.scope.room_id in (None, room_id)
    )


def _opened(
    available: list[AvailabilityException], joined: list[Interval], start: int, end: int
) -> list[Opening]:
    """What exceptions open of the minutes that `joined` does not have; it has them afterwards."""
    return [
        Opening(piece_start, piece_end, each.start, EXCEPTION_GRID, each.scope.room_id, each.id)
        for each in sorted(available, key=lambda each: each.precedence)
        for piece_start, piece_end in take(joined, max(each.start, start), min(each.end, end))
    ]


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


def _start(opening: Opening) -> int:
    return opening.start
