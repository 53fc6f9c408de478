"""What reservations and bookings say to each other."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from bookings.domain.holds import Outcome
from shared.fields import Answer, Body, Id, Instant, Text

TokenHash = Annotated[str, Field(pattern="^[0-9a-f]{64}$", max_length=64)]


class PickedBy(Body):
    """Whoever acts, by the access token; without, the patient whom the time is for."""

    by_type: Literal["patient", "provider", "admin"] = "patient"
    by_id: Id | None = None


class HoldIn(PickedBy):
    """What reservations asks bookings to hold; availability has vouched for the timeslot."""

    user_id: Id
    provider_id: Id
    service_id: Id
    timeslot_id: Annotated[str, Text(100)]
    start: Instant
    mode: Literal["in_person", "video", "phone"]
    location_id: Id | None
    room_id: Id | None
    token_hash: TokenHash
    reschedule_of: Id | None = None


class ExtendIn(PickedBy):
    token_hash: TokenHash


class HoldOut(Answer):
    appointment_id: UUID
    expires_at: Instant
    server_time: Instant


class OutcomesIn(Body):
    appointment_ids: Annotated[list[Id], Field(max_length=100)]


class OutcomeOut(Answer):
    appointment_id: UUID
    outcome: Outcome


class OutcomesOut(Answer):
    outcomes: list[OutcomeOut]
