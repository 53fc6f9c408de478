"""What reservations tells about the tokens it has given out; its subject is the reservation."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from shared.events.envelope import Snapshot


class ReservationEvent(Snapshot):
    source: ClassVar[str] = "/reservations"

    appointment_id: UUID
    user_id: UUID
    provider_id: UUID
    service_id: UUID
    timeslot_id: str
    token_hash: str
    """SHA-256 of the token, hex: enough to recognise it, useless for using it."""
    expires_at: datetime
    reserved_by: UUID | None = None
    """Who made it, where that is not ``user_id``: somebody of the provider."""


class ReservationCreated(ReservationEvent):
    type: ClassVar[str] = "reservation.created"


class ReservationReleased(ReservationEvent):
    type: ClassVar[str] = "reservation.released"


class ReservationExpired(ReservationEvent):
    type: ClassVar[str] = "reservation.expired"
