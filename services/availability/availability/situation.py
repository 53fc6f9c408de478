"""Everything that timeslots of a service depend on, and what follows from it. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from uuid import UUID

from availability.domain.capacity import BEGINNING, END, Claims
from availability.domain.explanations import BusyTime, Claim, Obstacle, explain
from availability.domain.intervals import Interval
from availability.domain.schedule import AvailabilityException
from availability.domain.timeslots import Grid, Run, find_timeslots, span_of
from availability.facts import Facts
from availability.set_up import OfferedPlace
from availability.sources import UnhealthyCalendarPolicy

_LONGEST_CLAIM = 14 * 60
"""An appointment of six hours with buffers of four."""


class ClaimedUnit(NamedTuple):
    """Claims of one unit, sorted: of a live hold, or all that are of none."""

    unit_id: UUID
    hold: UUID | None
    intervals: Sequence[Interval]


@dataclass(frozen=True)
class Situation(Facts):
    """Right for the instants that were asked for."""

    notes: bytes
    """Of the changes before; see ``notes.py``."""
    exceptions: Sequence[AvailabilityException]
    busy_times: Sequence[BusyTime]
    claimed: Sequence[ClaimedUnit]

    @cached_property
    def busy(self) -> Sequence[BusyTime]:
        """When the external calendars leave no time; any time, where the provider wants it so
        while one of them cannot be trusted."""
        if self.set_up.unhealthy_calendar_policy is not UnhealthyCalendarPolicy.CLOSED:
            return self.busy_times
        closed = [BusyTime(each.connection_id, BEGINNING, END) for each in self.unhealthy]
        return [*self.busy_times, *closed]

    def timeslots(
        self,
        at: OfferedPlace,
        starts: Interval,
        *,
        grid: Grid | None = None,
        without: UUID | None = None,
    ) -> list[Run]:
        """The timeslots at one place with these starts, which must be bookable ones.

        ``grid`` is the place's for these starts or for more, if it is known already; ``without``
        leaves out the claims of that hold of the asking user.
        """
        if starts[0] >= starts[1]:
            return []
        offer = self.set_up.offer
        return find_timeslots(
            offer,
            grid or self.set_up.grid(at, starts, self.exceptions),
            starts,
            claims=self._claims(span_of(offer, starts), without),
            busy=[(each.start, each.end) for each in self.busy],
        )

    def explain(self, at: OfferedPlace, start: int, claims: Sequence[Claim] = ()) -> list[Obstacle]:
        """All that stands in the way of a start; of claims only those that are given."""
        return explain(
            start,
            self.set_up.offer,
            at.place,
            at.weekly,
            exceptions=self.exceptions,
            units=self.set_up.units,
            claims=claims,
            busy=self.busy,
            timezone=self.set_up.timezone,
            now=self.now,
        )

    def _claims(self, span: Interval, without: UUID | None) -> dict[UUID, Claims]:
        claims = {
            each.unit_id: Claims(_near(each.intervals, span))
            for each in self.claimed
            if each.hold is None
        }
        for each in self.claimed:
            if each.hold is not None and each.hold != without:
                booked, held = claims.get(each.unit_id, Claims())
                held = sorted([*held, *_near(each.intervals, span)])
                claims[each.unit_id] = Claims(booked, held)
        return claims


def _near(intervals: Sequence[Interval], span: Interval) -> list[Interval]:
    """Those that may overlap the span; a few more do no harm."""
    first = bisect_left(intervals, (span[0] - _LONGEST_CLAIM,))
    after = bisect_left(intervals, (span[1],), first)
    while first < after and intervals[first][1] <= span[0]:
        first += 1
    return list(intervals[first:after])
