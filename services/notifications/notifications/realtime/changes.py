"""What a provider's watchers are told of bookable times: several changes become one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from shared.events.availability import AvailabilityChanged
from shared.fields import instant_text

MOST_TIMESLOTS = 30
"""When more than these have changed, clients are told to ask again."""


@dataclass(frozen=True, slots=True)
class Change:
    """Between two instants, or at any time when they are null; ``timeslots`` are by id, or None
    when they are too many to be named."""

    version: int
    start: str | None
    end: str | None
    timeslots: dict[str, dict[str, Any]] | None

    @classmethod
    def of(cls, event: AvailabilityChanged) -> Self:
        named = event.is_complete and len(event.timeslots) <= MOST_TIMESLOTS
        return cls(
            version=event.version,
            start=_text(event.start),
            end=_text(event.end),
            timeslots={
                each.timeslot_id: {
                    "serviceId": str(each.service_id),
                    "timeslotId": each.timeslot_id,
                    "start": instant_text(each.start),
                    "status": each.status,
                    "capacityLeft": each.capacity_left,
                }
                for each in event.timeslots
            }
            if named
            else None,
        )

    def followed_by(self, later: "Change") -> "Change":
        """Both as one. A timeslot is as the later one says."""
        if later.version < self.version:
            # It may be older than what is known: whoever shows these times asks again.
            return Change(self.version, *_span(self, later), None)
        timeslots = None
        if self.timeslots is not None and later.timeslots is not None:
            timeslots = self.timeslots | later.timeslots
            if len(timeslots) > MOST_TIMESLOTS:
                timeslots = None
        return Change(later.version, *_span(self, later), timeslots)

    def messages(self, provider_id: str) -> list[tuple[str, dict[str, Any]]]:
        """Event names with their data, the summary last."""
        told: list[tuple[str, dict[str, Any]]] = [
            ("timeslot.updated", {"providerId": provider_id, **timeslot})
            for timeslot in (self.timeslots or {}).values()
        ]
        summary = {
            "providerId": provider_id,
            "version": self.version,
            "start": self.start,
            "end": self.end,
            "isComplete": self.timeslots is not None,
        }
        return [*told, ("availability.changed", summary)]


def _span(one: Change, other: Change) -> tuple[str | None, str | None]:
    if None in (one.start, one.end, other.start, other.end):
        return None, None
    return min(one.start or "", other.start or ""), max(one.end or "", other.end or "")


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant_text(instant)
