"""A web server that gives out one calendar file, as well or as badly as it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class FileServer:
    text: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    has_etag: bool = True
    drips: bool = False
    url: str = ""
    answered: list[int] = field(default_factory=list)

    def set(self, *events: str) -> None:
        whole = "".join(f"BEGIN:VEVENT\n{event}\nEND:VEVENT\n" for event in events)
        text = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Test//EN\n{whole}END:VCALENDAR\n"
        self.text = text.replace("\n", "\r\n").encode()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            etag = f'"{hash(self.text)}"'
            status, body = self.status, self.text
            if self.has_etag and f"If-None-Match: {etag}" in request:
                status, body = 304, b""
            self.answered.append(status)
            lines = {"Content-Length": str(len(body)), "Connection": "close", **self.headers}
            if self.has_etag:
                lines["ETag"] = etag
            head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
            writer.write(f"HTTP/1.1 {status} OK\r\n{head}\r\n".encode())
            if self.drips:
                for byte in body:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0.01)
            writer.write(body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def file_server() -> AsyncIterator[FileServer]:
    files = FileServer()
    server = await asyncio.start_server(files.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    files.url = f"http://127.0.0.1:{port}/calendar.ics"
    try:
        yield files
    finally:
        server.close()
