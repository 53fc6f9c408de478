"""Why calendar-sync says no."""

from shared.errors import Conflict, NotFound


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
