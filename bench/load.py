"""A load generator that costs little: requests written by hand over connections kept open."""

import asyncio
import itertools
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import NamedTuple

CONNECTIONS = 32

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Outcome(NamedTuple):
    per_second: float
    quartile_ms: float
    """A quarter of the requests took no longer; other work on the machine spoils it least."""


class _Connection(asyncio.Protocol):
    """One request after the other, each as soon as the answer before it has been read."""

    def __init__(
        self, next_request: Callable[[], bytes | None], statuses: Collection[bytes]
    ) -> None:
        self._next_request = next_request
        self._statuses = statuses
        self._head = b""
        self._missing = 0
        self._sent_at = 0.0
        self.times: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data, self._head = self._head[:end], self._head[end + 4 :], b""
            if head[9:12] not in self._statuses:
                self._fail(RuntimeError(head.decode() + "\n" + data.decode()))
                return
            length = _LENGTH.search(head)
            self._missing = int(length[1]) if length else 0
        self._missing -= len(data)
        if self._missing <= 0:
            self._missing = 0
            self.times.append(time.perf_counter() - self._sent_at)
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or ConnectionError("the server hung up"))

    def _send(self) -> None:
        request = self._next_request()
        if request is None:
            if not self.done.done():
                self.done.set_result(None)
            self._transport.abort()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
        self._transport.abort()


async def load(
    port: int,
    request: bytes | Callable[[], bytes],
    *,
    seconds: float,
    connections: int = CONNECTIONS,
    status: int = 200,
) -> Outcome:
    """How many of these requests are answered in a second, and what one of them takes."""
    until = time.perf_counter() + seconds

    def next_request() -> bytes | None:
        if time.perf_counter() >= until:
            return None
        return request if isinstance(request, bytes) else request()

    return await _drive(port, [next_request] * connections, [status])


async def load_sequences(
    port: int, sequences: Sequence[Iterator[bytes]], *, statuses: Collection[int]
) -> Outcome:
    """Each connection sends the requests of one sequence in their order, until it ends."""
    return await _drive(port, [partial(next, each, None) for each in sequences], statuses)


async def _drive(
    port: int, sources: Sequence[Callable[[], bytes | None]], statuses: Collection[int]
) -> Outcome:
    loop = asyncio.get_running_loop()
    wanted = [str(status).encode() for status in statuses]
    started = time.perf_counter()
    made = [
        await loop.create_connection(partial(_Connection, source, wanted), "127.0.0.1", port)
        for source in sources
    ]
    await asyncio.gather(*(connection.done for _, connection in made))
    took = time.perf_counter() - started
    times = sorted(itertools.chain.from_iterable(connection.times for _, connection in made))
    return Outcome(len(times) / took, times[len(times) // 4] * 1000)


def get(path: str, **headers: str) -> bytes:
    return _request(f"GET {path}", headers)


def post(path: str, body: bytes, **headers: str) -> bytes:
    headers |= {"content_type": "application/json", "content_length": str(len(body))}
    return _request(f"POST {path}", headers) + body


def _request(line: str, headers: dict[str, str]) -> bytes:
    lines = [f"{line} HTTP/1.1", "host: bench"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
