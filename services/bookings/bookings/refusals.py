"""Why bookings says no, apart from the rules of the domain."""

from shared.errors import Conflict, Invalid, NotFound


class ServiceNotFound(NotFound):
    code = "service_not_found"
    title = "The provider offers no such service"


class AppointmentNotFound(NotFound):
    code = "appointment_not_found"
    title = "No such appointment"


class ReservationNotFound(NotFound):
    code = "reservation_not_found"
    title = "No such reservation"


class ProviderNotFound(NotFound):
    code = "provider_not_found"
    title = "No such provider"


class PatientNotFound(NotFound):
    code = "patient_not_found"
    title = "No such patient"


class SlotTaken(Conflict):
    code = "slot_taken"
    title = "Somebody else has this time"


class HoldExpired(Conflict):
    code = "hold_expired"
    title = "The reservation's time is over"


class ExtensionLimit(Conflict):
    """``latestExpiresAt`` is as far as this hold can be extended."""

    code = "extension_limit"
    title = "The reservation cannot be extended any further"


class ReservedForMove(Conflict):
    """``appointmentId`` is the appointment that this reservation was made to move."""

    code = "reserved_for_reschedule"
    title = "This reservation moves another appointment"


class RequestExpired(Conflict):
    """Nobody has answered it in time; ``pendingExpiresAt`` says when it ended."""

    code = "request_expired"
    title = "The request was not answered in time"


class PatientBusy(Conflict):
    """The patient has another appointment at that time; ``appointmentId`` names it."""

    code = "patient_busy"
    title = "The patient has another appointment at that time"


class AppointmentsToCome(Conflict):
    """``appointments`` names them; ``cancelUpcoming`` cancels them first."""

    code = "appointments_to_come"
    title = "The patient has appointments to come"


class ErasureNotFound(NotFound):
    code = "erasure_not_found"
    title = "Nobody has asked for this erasure"


class ContactDetailsMissing(Invalid):
    """Nobody could be told about the appointment."""

    code = "contact_details_missing"
    title = "The patient's contact details are incomplete"


class ContactDetailsInvalid(Invalid):
    """What the profile holds is no address or number by today's rules; ``errors`` says which."""

    code = "contact_details_invalid"
    title = "The patient's contact details are not valid"
