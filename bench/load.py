"""A load generator that costs little: requests written by hand over connections kept open."""

import asyncio
import itertools
import re
import time
from collections.abc import Awaitable, Callable, Collection, Generator, Iterator, Sequence
from functools import partial
from typing import NamedTuple

CONNECTIONS = 32

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


Conversation = Generator[bytes, bytes, None]
"""Yields requests, and is given the body of each answer."""


class Outcome(NamedTuple):
    per_second: float
    quartile_ms: float
    """A quarter of the requests took no longer; other work on the machine spoils it least."""
    times: list[list[float]]
    """Each connection's, in the order of its requests; seconds."""

    @property
    def requests(self) -> int:
        return sum(map(len, self.times))


class Pace(NamedTuple):
    """So many requests, and no sooner than so many seconds later the next as many."""

    requests: int
    seconds: float


NO_PAUSE = Pace(1, 0.0)


class _Connection(asyncio.Protocol):
    """One request after the other, each as soon as the answer before it has been read."""

    def __init__(
        self,
        next_request: Callable[[bytes], bytes | None],
        statuses: Collection[bytes],
        pace: Pace,
        number: int,
    ) -> None:
        self._next_request = next_request
        self._statuses = statuses
        self._pace = pace
        self._begins = number / CONNECTIONS * pace.seconds
        self._head = self._body = b""
        self._missing = 0
        self._sent_at = self._began_at = 0.0
        self.times: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        asyncio.get_running_loop().call_later(self._begins, self._send)

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
        self._body += data
        if self._missing <= 0:
            self._missing = 0
            self.times.append(time.perf_counter() - self._sent_at)
            self._send_in_time()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or ConnectionError("the server hung up"))

    def _send_in_time(self) -> None:
        if self._pace.seconds and len(self.times) % self._pace.requests == 0:
            left = self._began_at + self._pace.seconds - time.perf_counter()
            if left > 0:
                asyncio.get_running_loop().call_later(left, self._send)
                return
        self._send()

    def _send(self) -> None:
        request, self._body = self._next_request(self._body), b""
        if request is None:
            self._end()
            return
        self._sent_at = time.perf_counter()
        if len(self.times) % self._pace.requests == 0:
            self._began_at = self._sent_at
        self._transport.write(request)

    def _end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
        self._transport.abort()

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

    def next_request(_: bytes) -> bytes | None:
        if time.perf_counter() >= until:
            return None
        return request if isinstance(request, bytes) else request()

    return await _drive(port, [next_request] * connections, [status])


async def load_sequences(
    port: int, sequences: Sequence[Iterator[bytes]], *, statuses: Collection[int]
) -> Outcome:
    """Each connection sends the requests of one sequence in their order, until it ends."""
    return await _drive(port, [_one_after_the_other(each) for each in sequences], statuses)


async def converse(
    port: int, conversations: Sequence[Conversation], *, status: int, pace: Pace = NO_PAUSE
) -> Outcome:
    """Likewise, where a request depends on the answer before it."""
    return await _drive(port, [_talk(each) for each in conversations], [status], pace)


def _one_after_the_other(sequence: Iterator[bytes]) -> Callable[[bytes], bytes | None]:
    return lambda _: next(sequence, None)


def _talk(conversation: Conversation) -> Callable[[bytes], bytes | None]:
    has_begun = False

    def next_request(answer: bytes) -> bytes | None:
        nonlocal has_begun
        try:
            if has_begun:
                return conversation.send(answer)
            has_begun = True
            return next(conversation)
        except StopIteration:
            return None

    return next_request


class _Asked(_Connection):
    """One request whenever it is told to."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        super().__init__(self._waiting_one, [b"200"], NO_PAUSE, 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[None]:
        self._waiting.append(request)
        self.done = asyncio.get_running_loop().create_future()
        self._send()
        return self.done

    def close(self) -> None:
        self._transport.abort()

    def _waiting_one(self, _: bytes) -> bytes | None:
        return self._waiting.pop() if self._waiting else None

    def _end(self) -> None:
        self.done.set_result(None)


async def load_after(
    port: int,
    requests: Sequence[bytes],
    prepare: Callable[[], Awaitable[None]],
    *,
    seconds: float,
    when_warm: Callable[[], None] | None = None,
) -> Outcome:
    """All requests at once, again and again, each time after something that is not measured.

    They are asked once before that, which is not measured either, and then ``when_warm`` is called.
    """
    loop = asyncio.get_running_loop()
    made = [(await loop.create_connection(_Asked, "127.0.0.1", port))[1] for _ in requests]
    await asyncio.gather(*(each.ask(request) for each, request in zip(made, requests, strict=True)))
    for each in made:
        each.times.clear()
    if when_warm is not None:
        when_warm()
    took = 0.0
    while took < seconds:
        await prepare()
        started = time.perf_counter()
        await asyncio.gather(
            *[each.ask(request) for each, request in zip(made, requests, strict=True)]
        )
        took += time.perf_counter() - started
    for each in made:
        each.close()
    return _outcome([each.times for each in made], took)


async def _drive(
    port: int,
    sources: Sequence[Callable[[bytes], bytes | None]],
    statuses: Collection[int],
    pace: Pace = NO_PAUSE,
) -> Outcome:
    loop = asyncio.get_running_loop()
    wanted = [str(status).encode() for status in statuses]
    started = time.perf_counter()
    made = [
        await loop.create_connection(
            partial(_Connection, source, wanted, pace, number), "127.0.0.1", port
        )
        for number, source in enumerate(sources)
    ]
    await asyncio.gather(*(connection.done for _, connection in made))
    took = time.perf_counter() - started
    return _outcome([connection.times for _, connection in made], took)


def _outcome(of_each: list[list[float]], took: float) -> Outcome:
    times = sorted(itertools.chain.from_iterable(of_each))
    return Outcome(len(times) / took, times[len(times) // 4] * 1000, of_each)


def get(path: str, **headers: str) -> bytes:
    return _request(f"GET {path}", headers)


def post(path: str, body: bytes, **headers: str) -> bytes:
    headers |= {"content_type": "application/json", "content_length": str(len(body))}
    return _request(f"POST {path}", headers) + body


def _request(line: str, headers: dict[str, str]) -> bytes:
    lines = [f"{line} HTTP/1.1", "host: bench"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
