"""What bookings tells about appointments: each event is the whole appointment after the change.

Neither the patient's name and contacts nor the reason and notes travel here; who needs to reach
the patient knows them from ``patient.updated``.
"""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.envelope import EventPart, Snapshot
from shared.events.provider import Mode, ResourceKind

Status = Literal["held", "pending", "confirmed", "completed", "cancelled", "no_show"]
ActorType = Literal["patient", "provider", "admin", "system"]
CancellationCause = Literal[
    "patient",
    "provider",
    "system",
    "rejected",
    "rescheduled",
    "hold_released",
    "hold_expired",
    "pending_expired",
]


class Claim(EventPart):
    """One resource, locked for ``[start, end)`` with the buffers included."""

    resource_id: UUID
    kind: ResourceKind
    start: datetime
    end: datetime


class Cancellation(EventPart):
    at: datetime
    cause: CancellationCause
    by_type: ActorType
    by_id: UUID | None
    fee_cents: int


class Change(EventPart):
    """What happened to the appointment, in the words of its audit trail."""

    action: str
    actor_type: ActorType
    actor_id: UUID | None
    at: datetime


class AppointmentEvent(Snapshot):
    source: ClassVar[str] = "/bookings"

    status: Status
    user_id: UUID
    provider_id: UUID
    provider_name: str
    service_id: UUID
    service_title: str
    timeslot_id: str
    start: datetime
    end: datetime
    mode: Mode
    location_id: UUID | None
    location_name: str | None
    location_address: str | None
    room_id: UUID | None
    price_cents: int
    currency: str
    booked_from: Literal["patient_portal", "provider", "api"]
    hold_expires_at: datetime | None
    pending_expires_at: datetime | None
    patient_timezone: str
    provider_timezone: str
    cancellation: Cancellation | None
    rescheduled_from: UUID | None
    rescheduled_to: UUID | None
    reschedule_count: int
    claims: list[Claim]
    """Empty once the appointment has ended."""
    change: Change
    created_at: datetime
    updated_at: datetime


class BookingHeld(AppointmentEvent):
    type: ClassVar[str] = "booking.held"


class BookingRequested(AppointmentEvent):
    type: ClassVar[str] = "booking.requested"


class BookingConfirmed(AppointmentEvent):
    type: ClassVar[str] = "booking.confirmed"


class BookingRescheduled(AppointmentEvent):
    type: ClassVar[str] = "booking.rescheduled"


class BookingCancelled(AppointmentEvent):
    type: ClassVar[str] = "booking.cancelled"


class BookingCompleted(AppointmentEvent):
    type: ClassVar[str] = "booking.completed"


class BookingNoShow(AppointmentEvent):
    type: ClassVar[str] = "booking.no_show"
