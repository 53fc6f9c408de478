"""What availability tells about providers, appointment types and resources."""

from typing import ClassVar, Literal
from uuid import UUID

from shared.events.envelope import Deletion, EventPart, Snapshot

Mode = Literal["in_person", "video", "phone"]
ResourceKind = Literal["staff", "room", "telehealth_slot", "equipment"]
CompletionPolicy = Literal["completed", "no_show", "none"]
"""What an appointment becomes by itself when nobody has said how it went."""


class Room(EventPart):
    id: UUID
    name: str
    capacity: int
    is_virtual: bool


class Location(EventPart):
    id: UUID
    name: str
    address: str | None
    city: str | None
    country: str | None
    timezone: str
    is_primary: bool
    rooms: list[Room]


class ProviderUpdated(Snapshot):
    """A provider's profile with all locations and rooms."""

    type: ClassVar[str] = "provider.updated"
    source: ClassVar[str] = "/availability"

    name: str
    email: str | None
    phone: str | None
    language: str
    timezone: str
    is_active: bool
    locations: list[Location]
    completion_policy: CompletionPolicy = "completed"
    completion_grace_minutes: int = 1440
    """How long after its end."""


class ProviderDeleted(Deletion):
    type: ClassVar[str] = "provider.deleted"
    source: ClassVar[str] = "/availability"


class CancellationTerms(EventPart):
    """What cancelling costs: nothing until ``free_until_minutes`` before the start, a fee after."""

    free_until_minutes: int
    fee_cents: int
    fee_percent: int
    cutoff_minutes: int


class AppointmentTypeUpdated(Snapshot):
    """A bookable service with everything that a booking takes a snapshot of.

    Lengths are minutes, the horizon is calendar days in the provider's zone, money is minor units.
    """

    type: ClassVar[str] = "appointment_type.updated"
    source: ClassVar[str] = "/availability"

    provider_id: UUID
    slug: str
    name: str
    description: str | None
    mode: Mode
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    price_cents: int
    currency: str
    requires_approval: bool
    hold_seconds: int
    min_notice_minutes: int
    max_future_days: int
    allow_patient_reschedule: bool
    max_reschedule_count: int
    cancellation: CancellationTerms
    required_equipment: list[str]
    location_ids: list[UUID]
    default_location_id: UUID | None
    default_room_id: UUID | None
    is_active: bool


class AppointmentTypeDeleted(Deletion):
    type: ClassVar[str] = "appointment_type.deleted"
    source: ClassVar[str] = "/availability"

    provider_id: UUID


class ResourceUpdated(Snapshot):
    """One bookable unit. Equipment is asked for by its label, a room by its id or its location."""

    type: ClassVar[str] = "resource.updated"
    source: ClassVar[str] = "/availability"

    provider_id: UUID
    kind: ResourceKind
    label: str
    location_id: UUID | None
    room_id: UUID | None
    is_active: bool


class ResourceDeleted(Deletion):
    type: ClassVar[str] = "resource.deleted"
    source: ClassVar[str] = "/availability"

    provider_id: UUID
    kind: ResourceKind
