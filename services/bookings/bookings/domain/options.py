"""What a caller may do with an appointment now, so that clients need not know the rules."""

from datetime import datetime

from bookings.domain import policy
from bookings.domain.appointment import Actor, ActorType, Appointment
from bookings.domain.lifecycle import Status


def allowed_actions(appointment: Appointment, *, by: Actor, now: datetime) -> list[str]:
    """The names of the calls that would be accepted from this actor at this instant."""
    if appointment.status is Status.HELD:
        return _of_hold(appointment, by, now)
    if not appointment.is_active:
        return []
    return ["cancel"] if _may_cancel(appointment, by, now) else []


def _of_hold(hold: Appointment, by: Actor, now: datetime) -> list[str]:
    if hold.hold_expires_at is None or now >= hold.hold_expires_at:
        return []
    return ["confirm", "cancel"] if by.type is ActorType.PATIENT else ["cancel"]


def _may_cancel(appointment: Appointment, by: Actor, now: datetime) -> bool:
    try:
        policy.cancel(appointment, by=by, now=now)
    except policy.AgainstPolicy:
        return False
    return True
