"""Everything that timeslots of a service depend on, and what follows from it. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from availability.domain.capacity import Claims
from availability.domain.explanations import BusyTime, Claim, Obstacle, explain
from availability.domain.intervals import Interval
from availability.domain.opening_hours import opening_hours
from availability.domain.schedule import AvailabilityException
from availability.domain.timeslot_id import id_suffix
from availability.domain.timeslots import Run, find_timeslots, span_of, starts_in_question
from availability.set_up import OfferedPlace, SetUp

LONGEST_CLAIM = 24 * 60
"""An appointment of six hours with buffers of four is 14 hours long, and none is longer."""

_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(9000, 1, 1)


class ClaimedUnit(NamedTuple):
    """Claims of one unit, sorted; ``own_hold`` is the asking user's hold that they are of."""

    unit_id: UUID
    is_held: bool
    own_hold: UUID | None
    intervals: list[Interval]


class OwnHold(NamedTuple):
    appointment_id: UUID
    start: int


@dataclass(frozen=True, slots=True)
class Situation:
    """As of ``now``, by the database's clock; right for the instants that were asked for."""

    now: datetime
    version: int
    set_up: SetUp
    exceptions: Sequence[AvailabilityException]
    busy: Sequence[BusyTime]
    claimed: Sequence[ClaimedUnit]
    own_holds: dict[str, OwnHold]
    """The asking user's live holds of this service, by timeslot id."""

    @property
    def bookable(self) -> Interval:
        """The starts that notice and horizon allow."""
        set_up = self.set_up
        return starts_in_question(set_up.offer, set_up.timezone, _FIRST_DAY, _LAST_DAY, self.now)

    def timeslots(
        self, at: OfferedPlace, starts: Interval, *, without: UUID | None = None
    ) -> list[Run]:
        """The timeslots at one place with these starts, which must be bookable ones.

        ``without`` leaves out the claims of that hold of the asking user.
        """
        if starts[0] >= starts[1]:
            return []
        offer = self.set_up.offer
        span = span_of(offer, starts)
        hours = opening_hours(at.weekly, self.exceptions, at.place, *span)
        return find_timeslots(
            offer,
            at.place,
            hours,
            starts,
            units=self.set_up.units,
            claims=self._claims(span, without),
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

    def held_starts(self, at: OfferedPlace) -> frozenset[int]:
        """The starts at this place that the asking user holds."""
        return frozenset(
            hold.start
            for timeslot_id, hold in self.own_holds.items()
            if timeslot_id == at.id_prefix + id_suffix(hold.start)
        )

    def _claims(self, span: Interval, without: UUID | None) -> dict[UUID, Claims]:
        booked: dict[UUID, list[Interval]] = {}
        held: dict[UUID, list[Interval]] = {}
        for each in self.claimed:
            if without is not None and each.own_hold == without:
                continue
            near = _near(each.intervals, span)
            found = held if each.is_held else booked
            if each.unit_id in found:
                near = sorted(found[each.unit_id] + near)
            found[each.unit_id] = near
        return {
            unit_id: Claims(booked.get(unit_id, ()), held.get(unit_id, ()))
            for unit_id in booked.keys() | held.keys()
        }


def _near(intervals: list[Interval], span: Interval) -> list[Interval]:
    """Those that may overlap the span; a few more do no harm."""
    first = bisect_left(intervals, (span[0] - LONGEST_CLAIM,))
    return intervals[first : bisect_left(intervals, (span[1],), first)]
