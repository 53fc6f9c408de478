"""What availability tells about bookable time."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.envelope import EventData, EventPart
from shared.events.provider import Mode


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


class ConflictingAppointment(EventPart):
    id: UUID
    status: Literal["pending", "confirmed"]
    user_id: UUID
    service_id: UUID
    start: datetime
    end: datetime
    mode: Mode
    location_id: UUID | None
    room_id: UUID | None


class ConflictFound(EventData):
    """Appointments that were inside the provider's hours are not any more: somebody has to look.

    Told once, of those that the change itself has hit; they stay as they are until somebody moves
    or cancels them. ``cause_id`` is the exception (or the import, for the exceptions of one), the
    time-off request or the calendar connection behind it; new weekly hours have none.
    """

    type: ClassVar[str] = "availability.conflict_found"
    source: ClassVar[str] = "/availability"

    provider_id: UUID
    version: int
    """The provider's schedule, as ``availability.changed`` counts it."""
    cause: Literal["rules", "exception", "time_off", "external_busy"]
    cause_id: UUID | None
    is_complete: bool
    """False when there are too many appointments to name them all; the earliest are named."""
    appointments: list[ConflictingAppointment]

    @property
    def subject(self) -> str:
        return str(self.provider_id)

    @property
    def sequence(self) -> int:
        return self.version
