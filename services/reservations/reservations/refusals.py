"""Why a timeslot cannot be reserved."""

from shared.errors import Conflict, Forbidden, NotFound, TooMany, Unavailable


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


class NotYourself(Forbidden):
    code = "not_yourself"
    title = "Timeslots are reserved for oneself"


class AgainstPolicy(Conflict):
    """A rule of the service forbids it; ``rule`` names it, the other members give its figures."""

    code = "against_policy"
    title = "A rule of this service forbids this"
