"""What bookings asks for when a patient wants all their data."""

from uuid import UUID

from reservations.models import Status
from reservations.use_cases.personal_data import reservations_of
from shared.app import new_router
from shared.auth import CallingService
from shared.db import SqlReading
from shared.fields import Answer, Id, Instant

router = new_router(prefix="/internal/patients", tags=["internal"])


class ReservationKept(Answer):
    id: UUID
    status: Status
    provider_id: UUID
    service_id: UUID
    timeslot_id: str
    appointment_id: UUID | None
    reschedule_of: UUID | None
    reserved_by: UUID
    created_at: Instant
    expires_at: Instant


class ReservationsKept(Answer):
    reservations: list[ReservationKept]


@router.get("/{user_id}/export", response_model=ReservationsKept)
async def export(user_id: Id, db: SqlReading, _: CallingService) -> ReservationsKept:
    """All reservations for the patient, without the tokens."""
    rows = await reservations_of(db, user_id)
    return ReservationsKept(
        reservations=[ReservationKept.model_validate(dict(row)) for row in rows]
    )
