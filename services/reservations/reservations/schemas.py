"""Bodies and answers of the reservations API."""

from typing import Annotated, Literal
from uuid import UUID

from shared.fields import Answer, Id, Instant, Text
from shared.idempotency import KeyedBody


class ReserveIn(KeyedBody):
    provider_id: Id
    service_id: Id
    timeslot_id: Annotated[str, Text(100)]
    user_id: Id | None = None
    """The patient. Patients reserve for themselves alone; a provider or an admin says for whom."""
    reschedule_of: Id | None = None
    """The patient's appointment that is to be moved; what it blocks itself is offered, too."""


class TimeslotOut(Answer):
    id: str
    start: Instant
    end: Instant
    location_id: UUID | None
    room_id: UUID | None
    mode: Literal["in_person", "video", "phone"]


class ReservedOut(Answer):
    """The countdown is ``expiresAt - serverTime``, whatever the client's clock says."""

    reservation_token: str
    expires_at: Instant
    server_time: Instant
    appointment_id: UUID
    timeslot: TimeslotOut


class ReservationOut(Answer):
    token: str
    timeslot_id: str
    user_id: UUID
    provider_id: UUID
    service_id: UUID
    appointment_id: UUID
    timeslot: TimeslotOut
    expires_at: Instant
    server_time: Instant
    status: Literal["active", "used", "released", "expired"]
