"""What availability tells about bookable time."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.envelope import EventData, EventPart


class TimeslotChange(EventPart):
    """A timeslot as it is now; whether it was otherwise before is not said."""

    timeslot_id: str
    service_id: UUID
    start: datetime
    status: Literal["available", "reserved", "booked"]
    capacity_left: int


class AvailabilityChanged(EventData):
    """A provider's bookable times have changed, and asking now shows the change.

    The change is about the time from ``start`` to ``end``, or about any time when they are null.
    When ``is_complete``, ``timeslots`` are all that touch that time, of all services; otherwise
    there are none, and whoever shows times of this provider asks again.
    """

    type: ClassVar[str] = "availability.changed"
    source: ClassVar[str] = "/availability"

    provider_id: UUID
    version: int
    start: datetime | None
    end: datetime | None
    is_complete: bool
    timeslots: list[TimeslotChange]

    @property
    def subject(self) -> str:
        return str(self.provider_id)

    @property
    def sequence(self) -> int:
        return self.version
