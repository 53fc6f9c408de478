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


class PatientNotFound(NotFound):
    code = "patient_not_found"
    title = "No such patient"


class SlotTaken(Conflict):
    code = "slot_taken"
    title = "Somebody else has this time"


class HoldExpired(Conflict):
    code = "hold_expired"
    title = "The reservation's time is over"


class PatientBusy(Conflict):
    """The patient has another appointment at that time; ``appointmentId`` names it."""

    code = "patient_busy"
    title = "The patient has another appointment at that time"


class ContactDetailsMissing(Invalid):
    """Nobody could be told about the appointment."""

    code = "contact_details_missing"
    title = "The patient's contact details are incomplete"
