"""Cancel an appointment, and say what it costs."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bookings import ledger
from bookings.access import locked_for
from bookings.domain import decisions, policy
from bookings.domain.appointment import Actor, Appointment, Cancellation
from bookings.use_cases.moves import end_moves_of
from shared.auth import Principal
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Cancelled:
    appointment: Appointment
    refund: policy.Refund
    by: Actor
    now: datetime


async def cancel_appointment(
    db: Connection, id_: UUID, *, reason: str | None, user: Principal
) -> Cancelled:
    """The ended appointment and the refund; a patient who cancels a hold lets it go."""
    found, by = await locked_for(user, id_, db)
    ending = decisions.cancel(found.appointment, by=by, now=found.now)
    cancellation = Cancellation(
        at=found.now, cause=ending.cause, by=by, reason=reason, fee_cents=ending.refund.fee_cents
    )
    ended = found.appointment.moved(ending.action, now=found.now, cancellation=cancellation)
    written = await ledger.move(db, ended, ending.action, by=by)
    await end_moves_of(db, written, now=found.now)
    return Cancelled(written, ending.refund, by, found.now)
