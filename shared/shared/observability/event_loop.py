"""How late a process's event loop comes to what is due: what makes everything else slow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Histogram

_EVERY = 0.5
_LATE = Histogram(
    "event_loop_late_seconds",
    "How much later than asked for the event loop has woken its watcher.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)


@asynccontextmanager
async def watched_event_loop() -> AsyncIterator[None]:
    """Measured twice a second for as long as the block runs."""
    task = asyncio.create_task(_watch(), name="event-loop-watch")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _watch() -> None:
    now = asyncio.get_running_loop().time
    while True:
        due = now() + _EVERY
        await asyncio.sleep(_EVERY)
        _LATE.observe(max(now() - due, 0))
