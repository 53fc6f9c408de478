"""The same streams over the Pusher protocol, for its clients and for its hosted service."""
