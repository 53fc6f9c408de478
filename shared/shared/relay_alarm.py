"""Tells a database's relay that its outbox may hold something new."""

import asyncio
from contextlib import suppress

import asyncpg

from shared.database_trouble import DatabaseError

_PAUSE = 0.01


class RelayAlarm:
    """Sends NOTIFY on a connection of its own; a lost one only costs the relay's next poll."""

    def __init__(self, url: str, channel: str) -> None:
        self._url = url
        self._channel = channel
        self._rung = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def ring(self) -> None:
        self._rung.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="relay-alarm")

    async def _run(self) -> None:
        connection: asyncpg.Connection[asyncpg.Record] | None = None
        try:
            while True:
                await self._rung.wait()
                self._rung.clear()
                try:
                    if connection is None or connection.is_closed():
                        connection = await asyncpg.connect(self._url, timeout=5)
                    await connection.execute(f"NOTIFY {self._channel}", timeout=5)
                except (OSError, *DatabaseError, TimeoutError):
                    connection = None
                await asyncio.sleep(_PAUSE)
        finally:
            if connection is not None:
                connection.terminate()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
