"""The patient's own time: nobody is booked in two places at once, whoever the providers are."""

from collections.abc import Awaitable, Callable

from bookings import ledger, queries
from bookings.domain.appointment import Appointment
from bookings.refusals import PatientBusy
from bookings.use_cases.end_hold import end_if_overdue
from shared.db import Connection

_ROUNDS = 5
"""How many requests that nobody answered in time are cleared away before the answer is no."""


async def claim_own_time(db: Connection, appointment: Appointment) -> None:
    """Lock it; PatientBusy names the other appointment."""
    await _claim(db, appointment, ledger.claim_patient_time)


async def claim_own_time_beside(db: Connection, request: Appointment) -> None:
    """Likewise for a request to move, next to the appointment that it may replace."""
    await _claim(db, request, ledger.claim_patient_time_beside)


async def _claim(
    db: Connection,
    appointment: Appointment,
    claim: Callable[[Connection, Appointment], Awaitable[bool]],
) -> None:
    """What is over blocks nobody: a rival request that has run out is ended here."""
    other = None
    for _ in range(_ROUNDS):
        if await claim(db, appointment):
            return
        other = await queries.rival_of_patient(db, appointment)
        if other is None or not await end_if_overdue(db, other):
            break
    raise PatientBusy("there is another appointment at that time", appointmentId=other)
