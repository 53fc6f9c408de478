"""What an API process needs for streams while it runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from notifications.realtime.hub import Hub, Limits
from notifications.settings import NotificationsSettings


@asynccontextmanager
async def serve_realtime(app: FastAPI) -> AsyncIterator[None]:
    """``app.state.realtime`` is the hub until the process is told to stop."""
    settings: NotificationsSettings = app.state.settings
    limits = Limits(
        longest=settings.realtime_longest_seconds,
        of_one_user=settings.realtime_streams_per_user,
        of_this_process=settings.realtime_streams,
    )
    async with Hub.open(app.state.database, settings.database_url, limits) as hub:
        app.state.realtime = hub
        with app.state.draining.before_the_port_closes(hub.close):
            yield
