"""Waiting for something to be seen, with a limit; nothing here sleeps and hopes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from local.console import WentWrong

Seen = TypeVar("Seen")


async def wait_for(
    look: Callable[[], Awaitable[Seen | None]], what: str, *, limit: float, every: float = 0.05
) -> Seen:
    """Look until there is something to see; after ``limit`` seconds say what was missing."""
    deadline = time.monotonic() + limit
    while True:
        if seen := await look():
            return seen
        if time.monotonic() >= deadline:
            raise WentWrong(f"{what}: not seen within {limit:.0f} seconds")
        await asyncio.sleep(every)


async def listening(port: int, host: str = "127.0.0.1") -> bool:
    """True once somebody accepts connections there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True
