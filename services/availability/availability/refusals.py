"""Why availability says no."""

from shared.errors import Conflict, NotFound


class ProviderNotFound(NotFound):
    code = "provider_not_found"
    title = "No such provider"


class ServiceNotFound(NotFound):
    code = "service_not_found"
    title = "The provider offers no such service"


class TimeslotNotFound(NotFound):
    """The id is of no timeslot that this provider and service could have."""

    code = "timeslot_not_found"
    title = "The provider offers no such timeslot"


class LocationNotFound(NotFound):
    code = "location_not_found"
    title = "The provider has no such location"


class RoomNotFound(NotFound):
    code = "room_not_found"
    title = "The provider has no such room"


class ResourceNotFound(NotFound):
    code = "resource_not_found"
    title = "The provider has no such resource"


class ExceptionNotFound(NotFound):
    code = "exception_not_found"
    title = "The provider has no such exception"


class SlugTaken(Conflict):
    code = "slug_taken"
    title = "Another service of the provider has this slug"


class NoStaffLeft(Conflict):
    code = "no_staff_left"
    title = "A provider keeps at least one staff resource"


class ProviderExists(Conflict):
    code = "provider_exists"
    title = "There is, or was, a provider with this id"


class StillClaimed(Conflict):
    """``appointments`` names who comes first, ``appointmentCount`` says how many there are."""

    code = "still_claimed"
    title = "Appointments that are still to come need this"


class TooMany(Conflict):
    """``most`` says how many there may be."""

    code = "too_many"
    title = "The provider has as many of these as there can be; delete one first"


class BelongsToRoom(Conflict):
    code = "belongs_to_room"
    title = "This resource follows its room; change the room instead"


class PrimaryNeeded(Conflict):
    code = "primary_location_needed"
    title = "One location is the primary one; make another one primary instead"


class TimeOffNotFound(NotFound):
    code = "time_off_not_found"
    title = "The provider has no such time-off request"


class BelongsToTimeOff(Conflict):
    code = "belongs_to_time_off"
    title = "This exception follows a time-off request; withdraw the request instead"


class BelongsToImport(Conflict):
    """``importId`` names it; to be open at one of its times, add an exception that opens it."""

    code = "belongs_to_import"
    title = "This exception follows an imported calendar; import a changed one or take it back"
