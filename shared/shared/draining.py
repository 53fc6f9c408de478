"""How an API process ends: it says that it will, goes on for a while, and takes nothing new then.

uvicorn closes its port as soon as it is told to stop. Whoever shares requests out hears of it
later, from ``/readyz`` or a name server, and would meanwhile send requests to nobody.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Draining:
    """One in each API process, as ``app.state.draining``."""

    def __init__(self, seconds: float) -> None:
        """``seconds`` between the first signal and the closed port; a second signal ends them."""
        self._seconds = seconds
        self._actions: list[Callable[[], None]] = []
        self.has_begun = False

    @contextmanager
    def before_the_port_closes(self, action: Callable[[], None]) -> Iterator[None]:
        """``action`` runs when nothing new is taken any more, and what is under way is finished.

        uvicorn ends an app's lifespan only after the last answer has ended, and a stream has none.
        """
        self._actions.append(action)
        try:
            yield
        finally:
            self._actions.remove(action)

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Stands between SIGTERM or SIGINT and the server that has asked for them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        found = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def close(number: int, frame: FrameType | None) -> None:
            for action in self._actions:
                action()
            server = found[signal.Signals(number)]
            if callable(server):
                server(number, frame)

        def stop(number: int, frame: FrameType | None) -> None:
            pause = 0.0 if self.has_begun else self._seconds
            self.has_begun = True
            loop.call_soon_threadsafe(loop.call_later, pause, close, number, frame)

        for number, handler in found.items():
            if callable(handler):
                signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in found.items():
                if signal.getsignal(number) is stop:
                    signal.signal(number, handler)
