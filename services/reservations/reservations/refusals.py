"""Why a timeslot cannot be reserved."""

from collections.abc import Mapping
from typing import Any

from shared.errors import Conflict, DomainError, Forbidden, NotFound, TooMany, Unavailable


class SlotTaken(Conflict):
    """``alternatives`` are the nearest timeslots that can be booked."""

    code = "slot_taken"
    title = "This time is not available"


class SlotNotFound(NotFound):
    code = "timeslot_not_found"
    title = "The provider offers no such timeslot"


class ReservationNotFound(NotFound):
    code = "reservation_not_found"
    title = "No such reservation"


class ReservationInProgress(Conflict, Unavailable):
    """The same user is reserving the same timeslot right now; the answer is a moment away."""

    code = "reservation_in_progress"
    title = "This timeslot is being reserved for you already"


class TooManyHolds(TooMany):
    code = "too_many_holds"
    title = "Too many timeslots are held at once"


class CoolingDown(TooMany):
    """Too many timeslots were held and not used; ``limit`` in ``windowSeconds`` is the measure."""

    code = "cooling_down"
    title = "Too many reservations have expired unused"


class NotYourself(Forbidden):
    code = "not_yourself"
    title = "Timeslots are reserved for oneself, or by the provider for a patient"


class ReservedForMove(Conflict):
    """``appointmentId`` is the appointment that the reservation was made to move."""

    code = "reserved_for_reschedule"
    title = "This timeslot is reserved for moving an appointment"


class ReservationEnded(Conflict):
    """``reservationStatus`` says how."""

    code = "reservation_ended"
    title = "The reservation was used or released"


# What bookings says, in its own words and codes.


class AppointmentNotFound(NotFound):
    code = "appointment_not_found"
    title = "No such appointment"


class InvalidTransition(Conflict):
    code = "invalid_transition"
    title = "The appointment's state does not allow this"


class RequestExpired(Conflict):
    code = "request_expired"
    title = "The request was not answered in time"


class HoldExpired(Conflict):
    code = "hold_expired"
    title = "The reservation's time is over"


class ExtensionLimit(Conflict):
    """``latestExpiresAt`` is as far as this reservation can be extended."""

    code = "extension_limit"
    title = "The reservation cannot be extended any further"


class AgainstPolicy(Conflict):
    """A rule of the service forbids it; ``rule`` names it, the other members give its figures."""

    code = "against_policy"
    title = "A rule of this service forbids this"


def repeated(
    code: str, detail: str, members: Mapping[str, Any], *known: type[DomainError]
) -> DomainError:
    """Bookings' refusal as it is, if it is one that the call may answer."""
    for kind in known:
        if kind.code == code:
            return kind(detail, **members)
    return Unavailable(detail)
