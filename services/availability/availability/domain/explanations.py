"""Why an instant is not offered: everything that stands in the way of an appointment there.

What overlaps the appointment itself gives a reason of its own. What overlaps only its buffers, or
overlaps it only with the buffers of another appointment, gives the reason `buffer`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from availability.domain.intervals import Interval, intersect, overlapping, subtract, take
from availability.domain.local_time import day_of, minutes_down, minutes_up
from availability.domain.opening_hours import OpeningHours, WeeklyHours, opening_hours
from availability.domain.resources import Need, Offer, Place, Unit, needs
from availability.domain.schedule import AvailabilityException, ExceptionKind


class Reason(StrEnum):
    OUTSIDE_RULES = "outside_rules"
    BREAK = "break"
    EXCEPTION = "exception"
    CLAIMED = "claimed"
    BUFFER = "buffer"
    MIN_NOTICE = "min_notice"
    MAX_FUTURE = "max_future"
    EXTERNAL_BUSY = "external_busy"
    NO_RESOURCE = "no_resource"


class Obstacle(NamedTuple):
    """A reason, with the ids of what is in the way: breaks, exceptions, appointments, busy times.

    `outside_rules` with an id means that this rule or exception is open there, but starts nothing
    at that minute; `no_resource` with ids names the exceptions that put rooms out of use; a break
    without an id of its own is named by its rule.
    """

    reason: Reason
    ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of one unit, buffers included, by an appointment from `own_start` to `own_end`."""

    unit_id: UUID
    appointment_id: UUID
    start: int
    end: int
    own_start: int
    own_end: int


@dataclass(frozen=True, slots=True)
class BusyTime:
    """An interval of the provider's own calendar."""

    id: UUID
    start: int
    end: int


class _Findings:
    """What was found to be in the way of an appointment that is itself in the interval `own`."""

    def __init__(self, own: Interval) -> None:
        self._start, self._end = own
        self._ids: dict[Reason, dict[UUID, None]] = {}

    def add(self, reason: Reason, *ids: UUID) -> None:
        self._ids.setdefault(reason, {}).update(dict.fromkeys(ids))

    def add_at(self, start: int, end: int, reason: Reason, *ids: UUID) -> None:
        is_near = end <= self._start or self._end <= start
        self.add(Reason.BUFFER if is_near else reason, *ids)

    def obstacles(self) -> list[Obstacle]:
        return [
            Obstacle(reason, tuple(self._ids[reason])) for reason in Reason if reason in self._ids
        ]


def explain(
    at: int,
    offer: Offer,
    place: Place,
    weekly: WeeklyHours,
    *,
    exceptions: Iterable[AvailabilityException],
    units: Iterable[Unit],
    claims: Iterable[Claim],
    busy: Iterable[BusyTime],
    timezone: str,
    now: datetime,
) -> list[Obstacle]:
    """All that is in the way of a start, by reason; nothing exactly when the start is available.

    Needs everything that has a part in the claim that the start would make.
    """
    claim = (at - offer.buffer_before, at + offer.reach)
    exceptions = [each for each in exceptions if each.scope.covers(place)]
    hours = opening_hours(weekly, exceptions, place, *claim)
    found = _Findings((at, at + offer.duration))

    _look_at_hours(found, claim, place, weekly, hours, exceptions)
    room_id = _look_at_grid(found, at, hours)
    for need in needs(offer, place, units, room_id=room_id):
        _look_at_units(found, claim, need, claims, exceptions, hours)
    if at < minutes_up(now) + offer.min_notice:
        found.add(Reason.MIN_NOTICE)
    if day_of(timezone, at) > day_of(timezone, minutes_down(now)) + offer.max_future_days:
        found.add(Reason.MAX_FUTURE)
    for each in busy:
        if each.start < claim[1] and claim[0] < each.end:
            found.add_at(each.start, each.end, Reason.EXTERNAL_BUSY, each.id)
    return found.obstacles()


def _look_at_hours(
    found: _Findings,
    claim: Interval,
    place: Place,
    weekly: WeeklyHours,
    hours: OpeningHours,
    exceptions: list[AvailabilityException],
) -> None:
    closed = subtract([claim], hours.joined)
    if not closed:
        return
    ruled: list[Interval] = []
    for window in weekly.windows(*claim):
        own = intersect(take(ruled, window.start, window.end), closed)
        for interval, each in zip(window.breaks, window.rule.breaks, strict=True):
            for start, end in intersect([interval], own):
                found.add_at(start, end, Reason.BREAK, each.id or window.rule.id)
        _look_at_blocks(found, own, window.rule.scope.room_id or place.only_room, exceptions)
    unruled = subtract(closed, ruled)
    for start, end in unruled:
        found.add_at(start, end, Reason.OUTSIDE_RULES)
    _look_at_blocks(found, unruled, place.only_room, exceptions)


def _look_at_blocks(
    found: _Findings,
    closed: list[Interval],
    room_id: UUID | None,
    exceptions: list[AvailabilityException],
) -> None:
    for each in exceptions:
        if each.kind is ExceptionKind.BLOCKED and each.scope.room_id in (None, room_id):
            for start, end in intersect([(each.start, each.end)], closed):
                found.add_at(start, end, Reason.EXCEPTION, each.id)


def _look_at_grid(found: _Findings, at: int, hours: OpeningHours) -> UUID | None:
    """Answers, besides, which room an appointment at this start would be in if that is fixed."""
    for opening in hours.openings:
        if opening.start <= at < opening.end:
            if (at - opening.grid_from) % opening.grid:
                found.add(Reason.OUTSIDE_RULES, opening.source_id)
            return opening.room_id
    return None


def _look_at_units(
    found: _Findings,
    claim: Interval,
    need: Need,
    claims: Iterable[Claim],
    exceptions: list[AvailabilityException],
    hours: OpeningHours,
) -> None:
    start, end = claim
    out_of_use = {
        unit.id: unit.room_id
        for unit in need.units
        if unit.room_id and overlapping(hours.rooms_out.get(unit.room_id, ()), start, end)
    }
    in_use = {unit.id for unit in need.units} - out_of_use.keys()
    in_the_way = [
        each for each in claims if each.unit_id in in_use and each.start < end and start < each.end
    ]
    if in_use - {each.unit_id for each in in_the_way}:
        return
    for each in in_the_way:
        found.add_at(each.own_start, each.own_end, Reason.CLAIMED, each.appointment_id)
    blocks = [
        each.id
        for each in exceptions
        if each.kind is ExceptionKind.BLOCKED
        and each.scope.room_id in out_of_use.values()
        and each.start < end
        and start < each.end
    ]
    if not in_use:
        found.add(Reason.NO_RESOURCE, *blocks)
    elif blocks:
        found.add(Reason.EXCEPTION, *blocks)
