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


class RuleNotFound(NotFound):
    code = "schedule_rule_not_found"
    title = "The provider has no such schedule rule"


class ExceptionNotFound(NotFound):
    code = "exception_not_found"
    title = "The provider has no such exception"


class SlugTaken(Conflict):
    code = "slug_taken"
    title = "Another service of the provider has this slug"


class NoStaffLeft(Conflict):
    code = "no_staff_left"
    title = "A provider keeps at least one staff resource"
