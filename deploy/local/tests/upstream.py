"""A stand-in service behind the gateway: answers every request with what it has received."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Upstream:
    """Counts what reaches it; ``breaks`` makes it hang up on the request it has read,
    ``streams`` begin an answer that has no end."""

    name: str
    requests: list[str] = field(default_factory=list)
    connections: int = 0
    breaks: bool = False
    streams: bool = False
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    status: str = "200 OK"
    port: int = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append(request)
        if self.breaks:
            return False
        if self.streams:
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                b"Transfer-Encoding: chunked\r\n\r\ne\r\nevent: ready\n\n\r\n"
            )
            await self.goes_on.wait()
            writer.write(b"e\r\nevent: later\n\n\r\n")
            await reader.read()
            return False
        body = json.dumps({"service": self.name, "request": request, "headers": headers}).encode()
        writer.write(
            f"HTTP/1.1 {self.status}\r\nContent-Type: application/json\r\n"
            f"X-Request-Id: of-the-service\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        writer.write(body)
        await writer.drain()
        return True

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, host, port, backlog=4096)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield
