"""Everything that timeslots of a service depend on, and what follows from it. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import NamedTuple
from uuid import UUID

from availability.domain.capacity import BEGINNING, END, Claims
from availability.domain.explanations import BusyTime, Claim, Obstacle, explain
from availability.domain.intervals import Interval
from availability.domain.local_time import minutes_down
from availability.domain.opening_hours import opening_hours
from availability.domain.schedule import AvailabilityException
from availability.domain.timeslot_id import id_suffix
from availability.domain.timeslots import Run, find_timeslots, span_of, starts_in_question
from availability.set_up import OfferedPlace, SetUp
from availability.sources import STALE_AFTER, Source, UnhealthyCalendarPolicy

LONGEST_CLAIM = 24 * 60
"""An appointment of six hours with buffers of four is 14 hours long, and none is longer."""

_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(9000, 1, 1)


class ClaimedUnit(NamedTuple):
    """Claims of one unit, sorted; ``hold`` is the live hold that they are of, if it is one."""

    unit_id: UUID
    hold: UUID | None
    intervals: Sequence[Interval]


class LiveHold(NamedTuple):
    """A hold of any service of the provider."""

    appointment_id: UUID
    user_id: UUID
    service_id: UUID
    timeslot_id: str
    starts_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Situation:
    """As of ``now``, by the database's clock; right for the instants that were asked for."""

    now: datetime
    version: int
    set_up: SetUp
    user_id: UUID | None
    """Who asks."""
    exceptions: Sequence[AvailabilityException]
    busy_times: Sequence[BusyTime]
    claimed: Sequence[ClaimedUnit]
    holds: Sequence[LiveHold]
    sources: Sequence[Source]

    @cached_property
    def own_holds(self) -> dict[str, LiveHold]:
        """The asking user's live holds of this service, by timeslot id."""
        service_id = self.set_up.offer.service_id
        return {
            hold.timeslot_id: hold
            for hold in self.holds
            if hold.user_id == self.user_id and hold.service_id == service_id
        }

    @property
    def holders(self) -> frozenset[UUID]:
        """Who holds a timeslot of this service now."""
        service_id = self.set_up.offer.service_id
        return frozenset(hold.user_id for hold in self.holds if hold.service_id == service_id)

    @cached_property
    def busy(self) -> Sequence[BusyTime]:
        """When the external calendars leave no time; any time, where the provider wants it so
        while one of them cannot be trusted."""
        if self.set_up.unhealthy_calendar_policy is not UnhealthyCalendarPolicy.CLOSED:
            return self.busy_times
        closed = [BusyTime(each.connection_id, BEGINNING, END) for each in self._unhealthy]
        return [*self.busy_times, *closed]

    @property
    def is_unconfirmed(self) -> bool:
        """Whether timeslots are marked as not checked against all of the provider's calendars."""
        policy = self.set_up.unhealthy_calendar_policy
        return policy is UnhealthyCalendarPolicy.MARKED and bool(self._unhealthy)

    @property
    def _unhealthy(self) -> list[Source]:
        return [each for each in self.sources if not each.is_healthy(self.now)]

    @property
    def holds_until(self) -> datetime:
        """When time alone may make it another: with the minute, a hold's end, a stale calendar."""
        minute = self.now.replace(second=0, microsecond=0)
        ends = [minute if minute == self.now else minute + timedelta(minutes=1)]
        ends += [hold.expires_at for hold in self.holds]
        ends += [
            each.as_of + STALE_AFTER
            for each in self.sources
            if each.as_of is not None and each.is_healthy(self.now)
        ]
        return min(ends)

    @cached_property
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

    def earliest_conceivable(self, at: OfferedPlace, starts: Interval) -> int | None:
        """No timeslot at this place begins before; None when there is none. Costs next to nothing.

        Claims and busy times only make it later; an exception may move the grid, or open.
        """
        offer = self.set_up.offer
        first, after = max(starts[0], self.bookable[0]), min(starts[1], self.bookable[1])
        if first >= after:
            return None
        if self.exceptions:
            return first
        open_until = None
        for opening in at.weekly.openings(first - offer.buffer_before, after):
            before = 0 if opening.start == open_until else offer.buffer_before
            start = max(first, opening.start + before)
            start += (opening.grid_from - start) % opening.grid
            if start < min(opening.end, after):
                return start
            open_until = opening.end
        return None

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
            start
            for hold in self.own_holds.values()
            if hold.timeslot_id == at.id_prefix + id_suffix(start := minutes_down(hold.starts_at))
        )

    def _claims(self, span: Interval, without: UUID | None) -> dict[UUID, Claims]:
        booked: dict[UUID, list[Interval]] = {}
        held: dict[UUID, list[Interval]] = {}
        for each in self.claimed:
            if without is not None and each.hold == without:
                continue
            near = _near(each.intervals, span)
            found = booked if each.hold is None else held
            if each.unit_id in found:
                near = sorted(found[each.unit_id] + near)
            found[each.unit_id] = near
        return {
            unit_id: Claims(booked.get(unit_id, ()), held.get(unit_id, ()))
            for unit_id in booked.keys() | held.keys()
        }


def _near(intervals: Sequence[Interval], span: Interval) -> list[Interval]:
    """Those that may overlap the span; a few more do no harm."""
    first = bisect_left(intervals, (span[0] - LONGEST_CLAIM,))
    return list(intervals[first : bisect_left(intervals, (span[1],), first)])
