"""The API behind a real socket, and clients that read its streams event by event."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import uvicorn
from fastapi import FastAPI

LIMIT = 30.0


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """The address of the app, behind uvicorn as in production."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            ws_max_size=65_536,
            timeout_graceful_shutdown=1,
        )
    )
    task = asyncio.create_task(server.serve([listening]))
    while not server.started:
        assert not task.done(), task.exception()
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        if hasattr(app.state, "realtime"):
            app.state.realtime.close()
        server.should_exit = True
        await task
        listening.close()


@dataclass(frozen=True)
class Heard:
    event: str | None
    id: str | None
    data: Any
    comment: str | None = None


class Stream:
    """What an EventSource would see, and the comments that it would not."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.comments: list[str] = []
        self.retry: int | None = None

    async def next(self, limit: float = LIMIT) -> Heard | None:
        """The next event; None when the stream has ended."""
        async with asyncio.timeout(limit):
            while True:
                heard = await self._block()
                if heard is None or heard.event is not None:
                    return heard

    async def comment(self, limit: float = LIMIT) -> str:
        async with asyncio.timeout(limit):
            while not self.comments:
                assert await self._block() is not None, "the stream has ended"
        return self.comments.pop()

    async def events(self, count: int) -> list[Heard]:
        heard = [await self.next() for _ in range(count)]
        return [each for each in heard if each is not None]

    async def _block(self) -> Heard | None:
        fields: dict[str, str] = {}
        while line := (await self.response.content.readline()).decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            if not name:
                self.comments.append(value)
            fields[name] = value
        if not fields:
            return None
        if "retry" in fields:
            self.retry = int(fields["retry"])
        data = json.loads(fields["data"]) if "data" in fields else None
        return Heard(fields.get("event"), fields.get("id"), data)


@asynccontextmanager
async def listening(
    url: str, *, headers: Mapping[str, str], query: Mapping[str, str]
) -> AsyncIterator[Stream]:
    """An open stream, whose first event is still to be read."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"{url}/v1/realtime",
            params=query,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as response,
    ):
        if response.status != 200:
            raise AssertionError(f"{response.status}: {await response.text()}")
        yield Stream(response)
