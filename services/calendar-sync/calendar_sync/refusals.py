"""Why calendar-sync says no."""

from shared.errors import Conflict, Invalid, NotFound, Unavailable


class ProviderNotFound(NotFound):
    code = "provider_not_found"
    title = "No such provider"


class AppointmentNotFound(NotFound):
    code = "appointment_not_found"
    title = "No such appointment"


class FeedNotFound(NotFound):
    """The link was never given out, or has been revoked; nobody is told which."""

    code = "calendar_feed_not_found"
    title = "No such calendar feed"


class FeedLinkNotFound(NotFound):
    code = "feed_link_not_found"
    title = "No such link"


class TooManyFeedLinks(Conflict):
    code = "too_many_feed_links"
    title = "The provider has too many links to the calendar feed"


class ConnectionNotFound(NotFound):
    code = "calendar_connection_not_found"
    title = "No such calendar connection"


class AlreadyConnected(Conflict):
    """``connectionId`` names the connection that exists."""

    code = "calendar_already_connected"
    title = "This account is connected already"


class TooManyConnections(Conflict):
    code = "too_many_calendar_connections"
    title = "The provider has too many calendar connections"


class ConnectionBroken(Conflict):
    code = "calendar_connection_broken"
    title = "The calendar does not let us in any more; connect it again"


class ConnectionEnding(Conflict):
    code = "calendar_connection_ending"
    title = "The calendar is being disconnected"


class CalendarRefused(Invalid):
    """``errors`` says what is wrong with the address or the login."""

    code = "calendar_refused"
    title = "The calendar could not be connected"


class ChoiceInvalid(Invalid):
    code = "calendar_choice_invalid"
    title = "These calendars cannot be chosen"


class CalendarUnreachable(Unavailable):
    code = "calendar_unreachable"
    title = "The calendar's server does not answer"


class NoPassword(Conflict):
    code = "calendar_has_no_password"
    title = "This kind of calendar is not opened by a password"


class ConsentNotFound(NotFound):
    """It was used already, has expired, or was begun by somebody else; nobody is told which."""

    code = "calendar_consent_not_found"
    title = "This consent is not one that is waited for; begin again"
