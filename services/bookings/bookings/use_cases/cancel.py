"""Cancel an appointment, and say what it costs."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bookings import ledger, queries
from bookings.access import actor_for
from bookings.domain import lifecycle, policy
from bookings.domain.appointment import Actor, ActorType, Appointment, Cancellation
from bookings.domain.lifecycle import Action, Status
from bookings.refusals import AppointmentNotFound
from shared.auth import Principal
from shared.db import Connection

_ACTION = {
    ActorType.PATIENT: (Action.CANCELLED_BY_PATIENT, "patient"),
    ActorType.PROVIDER: (Action.CANCELLED_BY_PROVIDER, "provider"),
    ActorType.ADMIN: (Action.CANCELLED_BY_SYSTEM, "system"),
    ActorType.SYSTEM: (Action.CANCELLED_BY_SYSTEM, "system"),
}


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
    found = await queries.locked(db, id_)
    by = actor_for(user, found.appointment) if found else None
    if found is None or by is None:
        raise AppointmentNotFound("no such appointment")
    appointment, now = found.appointment, found.now
    action, cause = _ACTION[by.type]
    if appointment.status is Status.HELD and by.type is ActorType.PATIENT:
        action, cause = Action.HOLD_RELEASED, "hold_released"
    lifecycle.after(appointment.status, action)
    refund = policy.cancel(appointment, by=by, now=now)
    cancellation = Cancellation(
        at=now, cause=cause, by=by, reason=reason, fee_cents=refund.fee_cents
    )
    ended = appointment.moved(action, now=now, cancellation=cancellation)
    return Cancelled(await ledger.move(db, ended, action, by=by), refund, by, now)
