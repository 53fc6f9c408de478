"""What is known of a provider's service besides its timeslots, and what follows from it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import NamedTuple
from uuid import UUID

from availability.domain.intervals import Interval
from availability.domain.local_time import minutes_down
from availability.domain.timeslot_id import id_suffix
from availability.domain.timeslots import starts_in_question
from availability.set_up import OfferedPlace, SetUp
from availability.sources import STALE_AFTER, Source, UnhealthyCalendarPolicy

_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(9000, 1, 1)


class LiveHold(NamedTuple):
    """A hold of any service of the provider."""

    appointment_id: UUID
    user_id: UUID
    service_id: UUID
    timeslot_id: str
    starts_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Facts:
    """As of ``now``, by the database's clock."""

    now: datetime
    version: int
    set_up: SetUp
    user_id: UUID | None
    """Who asks."""
    holds: Sequence[LiveHold]
    sources: Sequence[Source]

    def as_of(self, now: datetime, user_id: UUID | None) -> "Facts":
        """The same for somebody else, and later, while the version is still this one."""
        holds = [hold for hold in self.holds if hold.expires_at > now]
        return Facts(now, self.version, self.set_up, user_id, holds, self.sources)

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

    @property
    def is_unconfirmed(self) -> bool:
        """Whether timeslots are marked as not checked against all of the provider's calendars."""
        policy = self.set_up.unhealthy_calendar_policy
        return policy is UnhealthyCalendarPolicy.MARKED and bool(self.unhealthy)

    @property
    def unhealthy(self) -> list[Source]:
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

    def held_starts(self, at: OfferedPlace) -> frozenset[int]:
        """The starts at this place that the asking user holds."""
        return frozenset(
            start
            for hold in self.own_holds.values()
            if hold.timeslot_id == at.id_prefix + id_suffix(start := minutes_down(hold.starts_at))
        )
