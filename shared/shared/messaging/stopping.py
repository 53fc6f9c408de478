"""Loops that are stopped by cancelling them, and end the piece of work in hand first."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Stop:
    """Asks a loop to end, and lets it pause without being deaf to that."""

    def __init__(self) -> None:
        self._requested = asyncio.Event()

    @property
    def requested(self) -> bool:
        return self._requested.is_set()

    def request(self) -> None:
        self._requested.set()

    async def pause(self, seconds: float) -> None:
        """Returns early when the stop is requested."""
        try:
            async with asyncio.timeout(seconds):
                await self._requested.wait()
        except TimeoutError:
            pass


async def run_until_cancelled(
    loop: Coroutine[Any, Any, None], request_stop: Callable[[], None], *, grace: float
) -> None:
    """Cancelling this requests the stop, waits ``grace`` seconds for the loop, then cancels it too.

    A loop that ends although nobody asked it to is an error, so that no process idles without it.
    """
    task = asyncio.create_task(loop)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError as error:
        if is_stray(error):
            raise RuntimeError("the loop was cancelled from within") from None
        request_stop()
        await asyncio.wait({task}, timeout=grace)
        raise
    finally:
        if not task.done():
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    raise RuntimeError("the loop ended by itself")


def is_stray(error: BaseException) -> bool:
    """A CancelledError that a library let out although nobody has cancelled this task."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling()
