"""What became of the appointments that were reserved."""

from reservations.models import Status
from reservations.queries import end_by_appointment
from reservations.use_cases.personal_data import erase_patient
from shared.db import Connection
from shared.erasures import erasing
from shared.events.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingRequested,
    BookingRescheduled,
)
from shared.events.envelope import Event
from shared.events.erasure import ReservationPatientErased
from shared.events.patient import PatientDeleted
from shared.messaging import Handlers

_ENDED = {"hold_expired": Status.EXPIRED}


async def mark_used(
    db: Connection,
    event: Event[BookingConfirmed] | Event[BookingRequested] | Event[BookingRescheduled],
) -> None:
    await end_by_appointment(db, event.data.id, Status.USED)


async def mark_ended(db: Connection, event: Event[BookingCancelled]) -> None:
    """A hold that has ended; what was confirmed before stays used."""
    cancellation = event.data.cancellation
    cause = cancellation.cause if cancellation else "system"
    await end_by_appointment(db, event.data.id, _ENDED.get(cause, Status.RELEASED))


HANDLERS: Handlers = {
    BookingConfirmed: mark_used,
    BookingRequested: mark_used,
    BookingRescheduled: mark_used,
    BookingCancelled: mark_ended,
    PatientDeleted: erasing(erase_patient, ReservationPatientErased),
}
