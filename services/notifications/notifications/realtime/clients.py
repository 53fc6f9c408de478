"""One connected client: what waits for it, within bounds."""

import asyncio
from collections import deque
from collections.abc import Callable

from notifications.realtime.messages import Message

MOST_WAITING = 256
"""A client that lets more messages wait is let go; it can connect again and resume."""


class Client:
    """``number`` tells it from the other connections of this process."""

    def __init__(self, number: int, after: int) -> None:
        self.number = number
        self.after = after
        """Messages up to this position are not for it."""
        self.channels: set[str] = set()
        self.is_over = False
        self.is_too_slow = False
        self.cut: Callable[[], None] | None = None
        """Ends a write to the client that does not end by itself."""
        self._waiting: deque[Message] = deque()
        self._wake = asyncio.Event()

    def offer(self, message: Message) -> None:
        if self.is_over or message.position <= self.after:
            return
        if len(self._waiting) >= MOST_WAITING:
            self.is_too_slow = True
            self.end()
            if self.cut is not None:
                self.cut()
            return
        self._waiting.append(message)
        self._wake.set()

    def end(self) -> None:
        """No more messages; whoever serves the client says good-bye."""
        self.is_over = True
        self._waiting.clear()
        self._wake.set()

    async def next(self, seconds: float) -> list[Message]:
        """All that waits, as soon as there is something; nothing when time is up, or it is over."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return []
        if not self.is_over:
            self._wake.clear()
        messages = list(self._waiting)
        self._waiting.clear()
        return messages
