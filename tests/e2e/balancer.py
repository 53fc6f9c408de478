"""One address for several copies, as a cluster gives a service: by connection, to whoever is in."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self


class Balancer:
    """Hands each connection on to one of ``places``, ports of this machine; that may change."""

    def __init__(self) -> None:
        self.places: Sequence[int] = ()
        self.port = 0
        self.connected: Counter[int] = Counter()
        """How many connections have been handed on to each, and are still open."""
        self._open: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        balancer = cls()
        server = await asyncio.start_server(balancer._accept, "127.0.0.1", 0, backlog=1024)
        balancer.port = server.sockets[0].getsockname()[1]
        try:
            yield balancer
        finally:
            server.close()
            for task in balancer._open:
                task.cancel()
            await asyncio.gather(*balancer._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        port = random.choice(self.places)
        self.connected[port] += 1
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pass_on(reader, to_writer), _pass_on(to_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.connected[port] -= 1
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
