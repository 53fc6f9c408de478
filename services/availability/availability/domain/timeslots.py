"""Which timeslots there are: openings cut into starts, less those with something in the way.

An appointment at `start` claims `start - buffer_before` until `start + duration + buffer_after`.
Claims, busy times, notice and horizon only remove starts; they never move the grid.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from availability.domain.capacity import IMPOSSIBLE, RESERVED, Claims, Step, capacity_steps
from availability.domain.intervals import Interval, merge, shares, subtract, within
from availability.domain.local_time import day_of, instant, minutes_down, minutes_up
from availability.domain.opening_hours import OpeningHours
from availability.domain.resources import Offer, Place, Unit, needs

_FOREVER = 1 << 60


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


def find_timeslots(
    offer: Offer,
    place: Place,
    hours: OpeningHours,
    starts: Interval,
    *,
    units: Iterable[Unit],
    claims: Mapping[UUID, Claims],
    busy: Iterable[Interval],
) -> list[Run]:
    """The timeslots among these starts, in order, those that are booked or reserved included.

    Hours, claims and busy times must be complete for all of `span_of(offer, starts)`.
    """
    units = list(units)
    candidates = _candidates(hours, _allowed(offer, hours, starts, busy))
    runs: list[Run] = []
    for room_id, of_room in candidates.items():
        needed = needs(offer, place, units, room_id=room_id)
        steps = capacity_steps(offer, needed, claims, hours.rooms_out)
        runs += _runs(of_room, steps, room_id or place.only_room)
    if len(candidates) > 1:
        runs.sort(key=lambda run: run[0].start)
    return runs


def _allowed(
    offer: Offer, hours: OpeningHours, starts: Interval, busy: Iterable[Interval]
) -> list[Interval]:
    """When an appointment may start so that its claim lies in open hours and meets no busy time."""
    before, reach = offer.buffer_before, offer.reach
    fitting = [
        (start + before, end - reach + 1)
        for start, end in hours.joined
        if end - start >= before + reach
    ]
    hidden = merge((start - reach + 1, end + before) for start, end in busy)
    return subtract(within(fitting, *starts), hidden)


def _candidates(hours: OpeningHours, allowed: list[Interval]) -> dict[UUID | None, list[range]]:
    """The starts on the grids of the openings, by the room that an opening fixes."""
    candidates: dict[UUID | None, list[range]] = {}
    spans = [(opening.start, opening.end) for opening in hours.openings]
    for opening, pieces in zip(hours.openings, shares(spans, allowed), strict=True):
        _, _, grid_from, grid, room_id, _ = opening
        for first, after in pieces:
            on_grid = range(first + (grid_from - first) % grid, after, grid)
            if on_grid:
                candidates.setdefault(room_id, []).append(on_grid)
    return candidates


def _runs(candidates: list[range], steps: list[Step], room_id: UUID | None) -> Iterator[Run]:
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
