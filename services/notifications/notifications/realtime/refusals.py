"""Why realtime says no."""

from notifications.realtime.hub import TooManyConnections
from shared.errors import NotFound

__all__ = ["ChannelNotFound", "TooManyConnections"]


class ChannelNotFound(NotFound):
    code = "channel_not_found"
    title = "No such channel"
