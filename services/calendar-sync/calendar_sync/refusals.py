"""Why calendar-sync says no."""

from shared.errors import Conflict, Invalid, NotFound, Unavailable


class ProviderNotFound(NotFound):
    code = "provider_not_found"
    title = "No such provider"


class UserNotFound(NotFound):
    code = "user_not_found"
    title = "No such user"


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
    title = "There are too many links to the calendar feed"


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


class CalendarKindOff(Conflict):
    code = "calendar_kind_off"
    title = "This kind of calendar is not set up here"


class ConsentNotFound(NotFound):
    """It was never begun in this browser, is used up or over; nobody is told which."""

    code = "calendar_consent_not_found"
    title = "This consent is no longer good; begin again where calendars are connected"


class ConsentDenied(Conflict):
    code = "calendar_consent_denied"
    title = "The calendar's provider sent you back without a consent"


class ConsentFailed(Conflict):
    code = "calendar_consent_failed"
    title = "The calendar's provider does not accept the consent; begin again"


class ScopesMissing(Conflict):
    code = "calendar_scopes_missing"
    title = "Not everything was allowed; begin again and tick every box on the provider's page"


class OtherAccount(Conflict):
    code = "calendar_other_account"
    title = "This is another account; begin again and choose the one that was connected"


class NoPassword(Conflict):
    code = "calendar_has_no_password"
    title = "This kind of calendar is not opened by a password"


class ChannelNotFound(NotFound):
    """No channel of ours has this id and this secret; nobody is told which is wrong."""

    code = "calendar_channel_not_found"
    title = "No such channel"


class CalendarFileRefused(Invalid):
    """``errors`` says what is wrong with it, and ``line`` where that shows."""

    code = "calendar_file_refused"
    title = "This calendar file cannot be imported"


class ImportNotFound(NotFound):
    code = "calendar_import_not_found"
    title = "No such import"


class TooManyImports(Conflict):
    code = "too_many_calendar_imports"
    title = "The provider has too many imported calendars"


class ImportsBusy(Unavailable):
    code = "calendar_imports_busy"
    title = "Other calendar files are being read; send it again"
