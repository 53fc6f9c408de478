"""Which appointments stand outside a provider's hours, judged as timeslots are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from availability.domain.intervals import Interval
from availability.domain.opening_hours import WeeklyHours, opening_hours
from availability.domain.resources import Mode, Place
from availability.domain.schedule import AvailabilityException, ScheduleRule

# As `opening_hours` asks for: the exceptions of two days before and after.
_NEAR = 2 * 24 * 60


@dataclass(frozen=True, slots=True)
class Booked:
    """An appointment that counts, and what it claims with its buffers, in whole minutes."""

    id: UUID
    status: str
    user_id: UUID
    service_id: UUID
    start: datetime
    end: datetime
    mode: Mode
    location_id: UUID | None
    room_id: UUID | None
    claim: Interval

    @property
    def place(self) -> Place:
        """As far as this appointment is concerned, its room is the only one there is."""
        rooms = frozenset({self.room_id} if self.room_id else ())
        return Place(self.service_id, self.mode, self.location_id, rooms)


@dataclass(frozen=True, slots=True)
class Hours:
    """All that a provider says about their time."""

    rules: Sequence[ScheduleRule]
    exceptions: Sequence[AvailabilityException]
    _weekly: dict[Place, WeeklyHours] = field(default_factory=dict, compare=False)

    def contain(self, booked: Booked) -> bool:
        """Whether the appointment with its buffers lies in open hours of its room."""
        place, (start, end) = booked.place, booked.claim
        if place not in self._weekly:
            self._weekly[place] = WeeklyHours(self.rules, place)
        near = [
            each
            for each in self.exceptions
            if each.start < end + _NEAR and start - _NEAR < each.end
        ]
        hours = opening_hours(self._weekly[place], near, place, start, end)
        return any(first <= start and end <= last for first, last in hours.joined)


def fallen_out(booked: Iterable[Booked], before: Hours, after: Hours) -> list[Booked]:
    """Those that were inside the hours before and are outside them after."""
    return [each for each in booked if not after.contain(each) and before.contain(each)]


def newly_met(
    booked: Iterable[Booked], before: Iterable[Interval], after: Iterable[Interval]
) -> list[Booked]:
    """Those that a busy time overlaps after, and none did before."""
    known, busy = list(before), list(after)
    return [
        each
        for each in booked
        if any(_overlap(each.claim, other) for other in busy)
        and not any(_overlap(each.claim, other) for other in known)
    ]


def _overlap(one: Interval, other: Interval) -> bool:
    return one[0] < other[1] and other[0] < one[1]
