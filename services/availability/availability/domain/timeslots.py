"""Which timeslots there are: openings cut into starts, less those with something in the way.

An appointment at `start` claims `start - buffer_before` until `start + duration + buffer_after`.
Claims, busy times, notice and horizon only remove starts; they never move the grid.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from availability.domain.capacity import IMPOSSIBLE, RESERVED, Claims, Step, capacity_steps
from availability.domain.intervals import Interval, merge, shares, subtract, within
from availability.domain.local_time import day_of, instant, minutes_down, minutes_up
from availability.domain.opening_hours import OpeningHours
from availability.domain.resources import Need, Offer, Place, Unit, needs

_FOREVER = 1 << 60
_BEGIN: Callable[[range], int] = attrgetter("start")


class Status(StrEnum):
    AVAILABLE = "available"
    RESERVED = "reserved"
    BOOKED = "booked"


class Standing(NamedTuple):
    """How often a start can still be booked; if not at all, whether only holds are in the way."""

    status: Status
    capacity_left: int
    room_id: UUID | None


Run = tuple[range, Standing]
"""Starts of one opening, in order, that have the same standing."""


class Candidates(NamedTuple):
    """Starts on the grids of openings, in order, and what an appointment there needs."""

    starts: Sequence[range]
    room_id: UUID | None
    """Where it would be, if only one room will do."""
    needs: Sequence[Need]


class Grid(NamedTuple):
    """When appointments may start at a place that nobody has booked and no calendar keeps busy."""

    rooms: Sequence[Candidates]
    rooms_out: Mapping[UUID, Sequence[Interval]]
    """When single rooms are out of use."""


def starts_in_question(
    offer: Offer, timezone: str, from_on: date, to_on: date, now: datetime
) -> Interval:
    """The instants of these days, in the provider's zone, that notice and horizon allow."""
    today = day_of(timezone, minutes_down(now))
    first_day = max(from_on.toordinal(), today)
    last_day = min(to_on.toordinal(), today + offer.max_future_days)
    if first_day > last_day:
        return (0, 0)
    first = max(instant(timezone, first_day, 0), minutes_up(now) + offer.min_notice)
    return (first, max(first, instant(timezone, last_day + 1, 0)))


def span_of(offer: Offer, starts: Interval) -> Interval:
    """All minutes that appointments with these starts could claim."""
    first, after = starts
    return (first - offer.buffer_before, after - 1 + offer.reach) if first < after else starts


def grid_of(
    offer: Offer, place: Place, hours: OpeningHours, starts: Interval, units: Iterable[Unit]
) -> Grid:
    """All of these starts whose claims lie in open hours.

    Hours must be complete for all of `span_of(offer, starts)`.
    """
    units = tuple(units)
    return Grid(
        [
            Candidates(
                on_grid, room_id or place.only_room, needs(offer, place, units, room_id=room_id)
            )
            for room_id, on_grid in _on_grids(hours, _fitting(offer, hours, starts)).items()
        ],
        hours.rooms_out,
    )


def find_timeslots(
    offer: Offer,
    grid: Grid,
    starts: Interval,
    *,
    claims: Mapping[UUID, Claims],
    busy: Iterable[Interval],
) -> list[Run]:
    """The timeslots of a grid among these starts, in order, those booked or reserved included.

    Claims and busy times must be complete for all of `span_of(offer, starts)`.
    """
    allowed = subtract([starts], merge(offer.met_by(each) for each in busy))
    runs: list[Run] = []
    for candidates, room_id, needed in grid.rooms:
        steps = capacity_steps(offer, needed, claims, grid.rooms_out)
        runs += _runs(_clipped(_near(candidates, starts), allowed), steps, room_id)
    if len(grid.rooms) > 1:
        runs.sort(key=lambda run: run[0].start)
    return runs


def clip(starts: range, to: Interval) -> range:
    """What of these starts lies in an interval."""
    first, after = to
    return range(
        max(starts.start, first + (starts.start - first) % starts.step),
        min(starts.stop, after),
        starts.step,
    )


def _fitting(offer: Offer, hours: OpeningHours, starts: Interval) -> list[Interval]:
    """When an appointment may start so that its claim lies in open hours."""
    before, reach = offer.buffer_before, offer.reach
    fitting = [
        (start + before, end - reach + 1)
        for start, end in hours.joined
        if end - start >= before + reach
    ]
    return within(fitting, *starts)


def _on_grids(hours: OpeningHours, fitting: list[Interval]) -> dict[UUID | None, list[range]]:
    """The starts on the grids of the openings, by the room that an opening fixes."""
    found: dict[UUID | None, list[range]] = {}
    spans = [(opening.start, opening.end) for opening in hours.openings]
    for opening, pieces in zip(hours.openings, shares(spans, fitting), strict=True):
        _, _, grid_from, grid, room_id, _ = opening
        for first, after in pieces:
            on_grid = range(first + (grid_from - first) % grid, after, grid)
            if on_grid:
                found.setdefault(room_id, []).append(on_grid)
    return found


def _near(candidates: Sequence[range], starts: Interval) -> Sequence[range]:
    """Those that may have a part in an interval."""
    first = bisect_right(candidates, starts[0], key=_BEGIN)
    return candidates[max(first - 1, 0) : bisect_left(candidates, starts[1], first, key=_BEGIN)]


def _clipped(candidates: Sequence[range], allowed: Sequence[Interval]) -> Iterator[range]:
    """What of these starts, which are in order, lies in a disjoint list."""
    spans = [(each.start, each.stop) for each in candidates]
    for each, span, pieces in zip(candidates, spans, shares(spans, allowed), strict=True):
        if pieces == [span]:
            yield each
            continue
        for piece in pieces:
            if left := clip(each, piece):
                yield left


def _runs(candidates: Iterable[range], steps: list[Step], room_id: UUID | None) -> Iterator[Run]:
    standings = {level: _standing(level, room_id) for level in {level for _, level in steps}}
    untils = [at for at, _ in steps[1:]] + [_FOREVER]
    position = 0
    for candidate in candidates:
        first, after, grid = candidate.start, candidate.stop, candidate.step
        while untils[position] <= first:
            position += 1
        while first < after:
            until = untils[position]
            if first < until:
                standing = standings[steps[position][1]]
                starts = range(first, min(until, after), grid)
                if standing is not None:
                    yield starts, standing
                first += len(starts) * grid
            if until >= after:
                break
            position += 1


def _standing(level: int, room_id: UUID | None) -> Standing | None:
    if level == IMPOSSIBLE:
        return None
    if level > 0:
        return Standing(Status.AVAILABLE, level, room_id)
    return Standing(Status.RESERVED if level == RESERVED else Status.BOOKED, 0, room_id)
