"""A wire between a client and a real server, which a test can hold still, cut or unplug."""

import asyncio
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class Link:
    def __init__(self, server_url: str) -> None:
        self._parts = urlsplit(server_url)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._port = 0
        self._plugged_in = True
        self.held = 0
        """How many pieces were stopped on their way."""
        self.refused = 0
        """How many connections were broken as soon as they were made."""

    @property
    def url(self) -> str:
        """The server, by way of this link."""
        login, _, _ = self._parts.netloc.rpartition("@")
        return urlunsplit(self._parts._replace(netloc=f"{login}@127.0.0.1:{self._port}"))

    def hold(self) -> None:
        """Nothing gets through any more, and nobody is told: what SIGSTOP does to a server."""
        self._flowing.clear()

    def release(self) -> None:
        self._flowing.set()

    def cut(self) -> None:
        """Every connection breaks; new ones work."""
        for writer in list(self._writers):
            writer.transport.abort()

    def unplug(self) -> None:
        """Every connection breaks, and new ones do at once: what a stopped server does."""
        self._plugged_in = False
        self.cut()

    def plug_in(self) -> None:
        self._plugged_in = True

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.release()
        self.unplug()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._plugged_in:
            self.refused += 1
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection(
                self._parts.hostname, self._parts.port
            )
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(far_writer)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if not self._flowing.is_set():
                    self.held += 1
                    await self._flowing.wait()
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
        self._writers.discard(sink)
