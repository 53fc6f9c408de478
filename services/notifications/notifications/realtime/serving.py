"""What an API process needs for streams while it runs."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

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
        with before_the_server_stops(hub.close):
            yield


@contextmanager
def before_the_server_stops(action: Callable[[], None]) -> Iterator[None]:
    """Runs ``action`` on SIGTERM and SIGINT, beside what the server does.

    uvicorn ends an app's lifespan only after the last answer has ended, and a stream has no end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    found = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(action)
        server = found[signal.Signals(number)]
        if callable(server):
            server(number, frame)

    for number, handler in found.items():
        if callable(handler):
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in found.items():
            if signal.getsignal(number) is stop:
                signal.signal(number, handler)
