"""The timeslots of a service day by day, as far as this process knows them.

What is known is as of a version and never changed: news makes another one of it, which has kept
the days that the news is not about. So the days of one are right together, whoever reads them and
whatever is learned meanwhile. Days are the provider's, from midnight to midnight.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Self
from uuid import UUID

from availability.domain.intervals import Interval
from availability.domain.local_time import day_of, instant
from availability.domain.timeslots import Run, clip
from availability.facts import Facts
from availability.grids import Grids
from availability.notes import changed_between
from availability.queries import News
from availability.set_up import Asked, SetUp
from availability.situation import Situation

_MOST_BYTES = 64 * 1024 * 1024
_BESIDES = 400
_OF_A_RUN = 200
_ALWAYS = datetime.max.replace(tzinfo=UTC)


class Piece(NamedTuple):
    """Timeslots as they are written, with commas between them, and what tells them from others."""

    text: bytes
    digest: bytes


@dataclass(slots=True)
class Day:
    """All timeslots that start on a day, whatever notice, horizon and a user's own holds say."""

    first: int
    after: int
    runs: Sequence[Sequence[Run]]
    """For each place of the set-up in turn."""
    until: datetime
    """From then on a hold that is in the way is in the way no more."""
    is_free: bool
    """Whether any of them can be booked."""
    size: int
    """About how many bytes it takes."""
    _pieces: dict[object, Piece] = field(default_factory=dict)

    def piece(self, view: object) -> Piece | None:
        """The whole day as it was written before for those who asked the same."""
        return self._pieces.get(view)

    def keep(self, view: object, piece: Piece) -> None:
        self._pieces[view] = piece
        self.size += len(piece.text) + _BESIDES


@dataclass(frozen=True, slots=True)
class Known:
    facts: Facts
    days: Mapping[int, Day]
    was_unhealthy: bool
    """Whether the days were made while a calendar could not be trusted."""
    grids: Grids

    @classmethod
    def of(
        cls, situation: Situation, looked: Interval, starts: Interval, before: "Known | None"
    ) -> tuple[Self, bool]:
        """With the days of the starts that were looked at, and whether that is all of them.

        ``before`` is of the same version.
        """
        facts = situation.as_of(situation.now, situation.user_id)
        is_unhealthy = bool(facts.unhealthy)
        are_right = before is not None and before.was_unhealthy == is_unhealthy
        days = dict(before.days) if before and are_right else {}
        if before is not None and before.grids.cover(looked):
            grids = before.grids
        else:
            grids = Grids(situation.exceptions, looked)
        missing = _missing(facts, days, starts)
        since, until = looked
        zone = facts.set_up.timezone
        readable = [
            day
            for day in missing
            if since <= instant(zone, day, 0) and instant(zone, day + 1, 0) <= until
        ]
        if readable:
            grids = grids.having(facts.set_up, _bounds(zone, readable))
            days.update(_made(situation, readable, grids))
        return cls(facts, days, is_unhealthy, grids), len(readable) == len(missing)

    @property
    def zone(self) -> str:
        return self.facts.set_up.timezone

    def after(self, news: News, user_id: UUID | None) -> "Known | None":
        """As this user sees it, without the days that may be others; None when all may be."""
        set_up = self.facts.set_up
        if news.set_up_version != set_up.version:
            return None
        facts = self.facts.as_of(news.now, user_id)
        if bool(facts.unhealthy) != self.was_unhealthy:
            return None
        days = self.days
        if news.version != facts.version:
            changed = changed_between(news.notes, facts.version, news.version)
            if changed is None:
                return None
            touched = {day for each in changed for day in _days(set_up, set_up.offer.met_by(each))}
            days = {day: known for day, known in days.items() if day not in touched}
        return Known(facts, days, self.was_unhealthy, self.grids)

    def lacks(self, starts: Interval) -> Interval | None:
        """From the first to the last day on which starts may be booked that nothing is known of."""
        missing = _missing(self.facts, self.days, starts)
        return _bounds(self.zone, missing) if missing else None

    def days_with(self, starts: Interval) -> Iterator[tuple[Day, Interval]]:
        """In order, each with those of the starts that it has and that may be booked."""
        earliest, after = self.facts.bookable
        first, after = max(starts[0], earliest), min(starts[1], after)
        for number in _days(self.facts.set_up, (first, after)):
            day = self.days[number]
            yield day, (max(first, day.first), min(after, day.after))

    @property
    def size(self) -> int:
        return _BESIDES + self.grids.size + sum(day.size for day in self.days.values())


class KnownDays:
    """What was learned last, up to a total size."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._known: OrderedDict[Asked, tuple[Known, int]] = OrderedDict()
        self._room = most_bytes

    def find(self, asked: Asked) -> Known | None:
        found = self._known.get(asked)
        if found is None:
            return None
        self._known.move_to_end(asked)
        return found[0]

    def weigh(self, asked: Asked) -> None:
        """After something has been written of its days."""
        if (found := self.find(asked)) is not None:
            self.keep(asked, found)

    def keep(self, asked: Asked, known: Known) -> None:
        size = known.size
        if (before := self._known.pop(asked, None)) is not None:
            self._room += before[1]
        self._known[asked] = (known, size)
        self._room -= size
        while self._room < 0:
            self._room += self._known.popitem(last=False)[1][1]


def within(runs: Iterable[Run], starts: Interval) -> Iterator[Run]:
    """What of these runs lies in an interval."""
    first, after = starts
    for run, standing in runs:
        if run.start >= first and run[-1] < after:
            yield run, standing
        elif left := clip(run, starts):
            yield left, standing


def _missing(facts: Facts, days: Mapping[int, Day], starts: Interval) -> list[int]:
    earliest, after = facts.bookable
    return [
        day
        for day in _days(facts.set_up, (max(starts[0], earliest), min(starts[1], after)))
        if (known := days.get(day)) is None or facts.now >= known.until
    ]


def _bounds(zone: str, days: Sequence[int]) -> Interval:
    """From the first of these days to the end of the last."""
    return (instant(zone, days[0], 0), instant(zone, days[-1] + 1, 0))


def _days(set_up: SetUp, starts: Interval) -> range:
    first, after = starts
    if first >= after:
        return range(0)
    zone = set_up.timezone
    return range(day_of(zone, first), day_of(zone, after - 1) + 1)


def _made(situation: Situation, days: Sequence[int], grids: Grids) -> Iterator[tuple[int, Day]]:
    """Stretches of days are computed at once, which costs less than each for itself."""
    stretch: list[int] = []
    for day in days:
        if stretch and day != stretch[-1] + 1:
            yield from _stretch(situation, stretch, grids)
            stretch = []
        stretch.append(day)
    if stretch:
        yield from _stretch(situation, stretch, grids)


def _stretch(situation: Situation, days: Sequence[int], grids: Grids) -> Iterator[tuple[int, Day]]:
    set_up = situation.set_up
    bounds = [instant(set_up.timezone, day, 0) for day in range(days[0], days[-1] + 2)]
    whole = (bounds[0], bounds[-1])
    places = [
        _split(situation.timeslots(at, whole, grid=grid), bounds)
        for at, grid in zip(set_up.places, grids.at_places, strict=True)
    ]
    untils = _untils(situation)
    for number, day in enumerate(days):
        first, after = bounds[number], bounds[number + 1]
        runs = [of_place[number] for of_place in places]
        until = min(
            (ends for (since, to), ends in untils if since < after and to > first), default=_ALWAYS
        )
        is_free = any(standing.capacity_left for each in runs for _, standing in each)
        size = _BESIDES + _OF_A_RUN * sum(len(each) for each in runs)
        yield day, Day(first, after, runs, until, is_free, size)


def _split(runs: Iterable[Run], bounds: Sequence[int]) -> list[list[Run]]:
    """Runs in order, by the day that they start on."""
    days: list[list[Run]] = [[] for _ in bounds[1:]]
    number = 0
    for run, standing in runs:
        while run.start >= bounds[number + 1]:
            number += 1
        rest, at = run, number
        while rest and rest[-1] >= bounds[at + 1]:
            first = -(-(bounds[at + 1] - rest.start) // rest.step)
            if first:
                days[at].append((rest[:first], standing))
            rest, at = rest[first:], at + 1
        days[at].append((rest, standing))
    return days


def _untils(situation: Situation) -> list[tuple[Interval, datetime]]:
    """The starts that each claim of a hold is in the way of, and when it ends."""
    offer = situation.set_up.offer
    ends = {hold.appointment_id: hold.expires_at for hold in situation.holds}
    return [
        (offer.met_by(interval), ends.get(each.hold, situation.now))
        for each in situation.claimed
        if each.hold is not None
        for interval in each.intervals
    ]
