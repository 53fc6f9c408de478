"""What a caller may do with an appointment now, so that clients need not know the rules."""

from collections.abc import Callable, Mapping
from datetime import datetime

from bookings.domain import decisions, moves
from bookings.domain.appointment import Actor, Appointment
from shared.errors import DomainError

CALLS: Mapping[str, Callable[..., object]] = {
    "confirm": decisions.confirm,
    "approve": decisions.approve,
    "reject": decisions.reject,
    "reschedule": moves.check_movable,
    "cancel": decisions.cancel,
    "complete": decisions.complete,
    "no_show": decisions.mark_no_show,
}
"""By name, the verdict on each call; it raises where the call would be refused."""


def allowed_actions(appointment: Appointment, *, by: Actor, now: datetime) -> list[str]:
    """The names of the calls that would be accepted from this actor at this instant."""
    return [name for name, verdict in CALLS.items() if _accepts(verdict, appointment, by, now)]


def fee_now_cents(appointment: Appointment, *, by: Actor, now: datetime) -> int | None:
    """What cancelling costs at this instant; None when this actor cannot cancel."""
    try:
        return decisions.cancel(appointment, by=by, now=now).refund.fee_cents
    except DomainError:
        return None


def _accepts(
    verdict: Callable[..., object], appointment: Appointment, by: Actor, now: datetime
) -> bool:
    try:
        verdict(appointment, by=by, now=now)
    except DomainError:
        return False
    return True
