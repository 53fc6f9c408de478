"""What each caller may do to an appointment at an instant.

Pure. A verdict says what the call will do, or raises what the caller will be told instead. The
calls and ``allowed_actions`` ask the same functions, so a button that is shown works.
"""

from dataclasses import dataclass
from datetime import datetime

from bookings.domain import policy
from bookings.domain.appointment import Actor, ActorType, Appointment
from bookings.domain.lifecycle import Action, Status, after
from bookings.refusals import HoldExpired, RequestExpired, ReservedForMove
from shared.errors import Forbidden


@dataclass(frozen=True, slots=True)
class Ending:
    """How an appointment ends by being cancelled, and what that costs."""

    action: Action
    cause: str
    refund: policy.Refund


_CANCEL = {
    ActorType.PATIENT: (Action.CANCELLED_BY_PATIENT, "patient"),
    ActorType.PROVIDER: (Action.CANCELLED_BY_PROVIDER, "provider"),
    ActorType.ADMIN: (Action.CANCELLED_BY_SYSTEM, "system"),
    ActorType.SYSTEM: (Action.CANCELLED_BY_SYSTEM, "system"),
}


def confirm(hold: Appointment, *, by: Actor, now: datetime) -> Action:
    """Confirmed at once, or a request where the service needs approval; by the patient alone."""
    if by.type is not ActorType.PATIENT:
        raise Forbidden("only the patient can confirm their reservation")
    action = Action.REQUEST_SUBMITTED if hold.terms.requires_approval else Action.CONFIRMED
    over = hold.hold_expires_at is None or now >= hold.hold_expires_at
    if over and hold.status in (Status.HELD, Status.CANCELLED):
        raise _hold_over(hold)
    after(hold.status, action)
    check_stands_alone(hold)
    return action


def check_stands_alone(hold: Appointment) -> None:
    """A hold that was made to move an appointment is no second one beside it."""
    if hold.rescheduled_from is not None:
        raise ReservedForMove(
            f"use it with POST /v1/appointments/{hold.rescheduled_from}/reschedule",
            appointmentId=str(hold.rescheduled_from),
        )


def cancel(appointment: Appointment, *, by: Actor, now: datetime) -> Ending:
    """By everybody who has a part in it; a patient who cancels a hold lets it go."""
    action, cause = _CANCEL[by.type]
    if appointment.status is Status.HELD and by.type is ActorType.PATIENT:
        action, cause = Action.HOLD_RELEASED, "hold_released"
    after(appointment.status, action)
    _check_not_overdue(appointment, now)
    return Ending(action, cause, policy.cancel(appointment, by=by, now=now))


def approve(appointment: Appointment, *, by: Actor, now: datetime) -> None:
    """A request is approved while it waits, and before its start."""
    _check_provides(by, "approve a request")
    after(appointment.status, Action.APPROVED)
    _check_not_overdue(appointment, now)
    policy.check_not_started(appointment, now=now)


def reject(appointment: Appointment, *, by: Actor, now: datetime) -> None:
    """A request is rejected while it waits."""
    _check_provides(by, "reject a request")
    after(appointment.status, Action.REJECTED)
    _check_not_overdue(appointment, now)


def complete(appointment: Appointment, *, by: Actor, now: datetime) -> None:
    """What has begun has taken place."""
    _check_provides(by, "say how an appointment went")
    after(appointment.status, Action.COMPLETED)
    policy.check_started(appointment, now=now)


def mark_no_show(appointment: Appointment, *, by: Actor, now: datetime) -> None:
    """What has begun has taken place without the patient."""
    _check_provides(by, "say how an appointment went")
    after(appointment.status, Action.NO_SHOW)
    policy.check_started(appointment, now=now)


def is_overdue(appointment: Appointment, *, now: datetime) -> bool:
    """A hold or a request whose time is over: it blocks nobody, and nothing can be done with it."""
    match appointment.status:
        case Status.HELD:
            limit = appointment.hold_expires_at
        case Status.PENDING:
            limit = appointment.pending_expires_at
        case _:
            return False
    return limit is not None and now >= limit


def _check_provides(by: Actor, what: str) -> None:
    if by.type is ActorType.PATIENT:
        raise Forbidden(f"only the provider can {what}")


def _check_not_overdue(appointment: Appointment, now: datetime) -> None:
    if not is_overdue(appointment, now=now):
        return
    if appointment.status is Status.HELD:
        raise _hold_over(appointment)
    raise RequestExpired(
        "this request was not answered in time; the patient has to book again",
        pendingExpiresAt=appointment.pending_expires_at,
    )


def _hold_over(hold: Appointment) -> HoldExpired:
    return HoldExpired(
        "this reservation is over; pick the time again", holdExpiresAt=hold.hold_expires_at
    )
