"""How one service calls another, and what it makes of the answers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.auth import ServiceTokens
from shared.auth.services import ServiceTokenCheck
from shared.errors import Unavailable
from shared.inner_calls import InnerAnswer, InnerCalls
from shared.observability import current_traceparent, story
from shared.observability.trace import TraceContext, current
from shared.testing.tokens import SERVICE_SECRET

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def calls_to(url: str, total_timeout: float = 5.0) -> AsyncIterator[InnerCalls]:
    tokens = ServiceTokens(SERVICE_SECRET, "reservations")
    async with InnerCalls.open(
        url, callee="bookings", tokens=tokens, total_timeout=total_timeout
    ) as calls:
        yield calls


@asynccontextmanager
async def a_callee(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def test_a_call_says_who_calls_and_on_whose_behalf() -> None:
    seen: list[web.Request] = []
    bodies: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        bodies.append(await request.json())
        return web.json_response({"appointmentId": "a"}, status=201)

    async with a_callee(handler) as url, calls_to(url) as bookings:
        token = current.set(TraceContext("a" * 32, "b" * 16, request_id="req-1"))
        traceparent = current_traceparent()
        answer = await bookings.post("/internal/holds", {"start": "2026-01-01T10:00:00Z"})
        current.reset(token)

    assert answer == InnerAnswer(201, {"appointmentId": "a"})
    (received,) = seen
    assert received.path == "/internal/holds"
    assert bodies == [{"start": "2026-01-01T10:00:00Z"}]
    assert received.headers["traceparent"] == traceparent
    assert received.headers["X-Request-Id"] == "req-1"
    scheme, _, credentials = received.headers["Authorization"].partition(" ")
    assert scheme == "Bearer"
    assert ServiceTokenCheck(SERVICE_SECRET, "bookings").verify(credentials) == "reservations"


async def test_a_question_carries_its_query() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response(dict(request.query))

    async with a_callee(handler) as url, calls_to(url) as bookings:
        with story("test"):
            answer = await bookings.get("/internal/x", {"providerId": "p&q"})

    assert answer == InnerAnswer(200, {"providerId": "p&q"})


@pytest.mark.parametrize("status", [200, 404, 409, 422])
async def test_answers_and_refusals_come_back_as_they_are(status: int) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"code": "slot_taken"}, status=status)

    async with a_callee(handler) as url, calls_to(url) as bookings:
        assert await bookings.post("/x", {}) == InnerAnswer(status, {"code": "slot_taken"})


async def test_an_answer_may_have_no_body() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=204)

    async with a_callee(handler) as url, calls_to(url) as bookings:
        assert await bookings.post("/x", {}) == InnerAnswer(204, None)


@pytest.mark.parametrize("status", [401, 403, 500, 502, 503])
async def test_failures_of_the_callee_mean_try_later(status: int) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.json_response({}, status=status)

    async with a_callee(handler) as url, calls_to(url) as bookings:
        with pytest.raises(Unavailable) as refused:
            await bookings.post("/x", {})

    assert refused.value.retry_after == 1


async def test_an_answer_that_is_no_json_means_try_later() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="<html>")

    async with a_callee(handler) as url, calls_to(url) as bookings:
        with pytest.raises(Unavailable):
            await bookings.post("/x", {})


async def test_a_callee_that_takes_too_long_means_try_later() -> None:
    for_ever = asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        await for_ever.wait()
        return web.Response()

    async with a_callee(handler) as url, calls_to(url, total_timeout=0.2) as bookings:
        with pytest.raises(Unavailable):
            async with asyncio.timeout(20):
                await bookings.post("/x", {}, repeatable=True)
        for_ever.set()


async def test_nobody_there_means_try_later() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        async with calls_to(f"http://127.0.0.1:{silent.getsockname()[1]}") as bookings:
            with pytest.raises(Unavailable):
                await bookings.post("/x", {})


async def test_a_refused_connection_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.inner_calls._RECONNECT_PAUSE", 2.0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    with socket.socket() as starting:
        starting.bind(("127.0.0.1", 0))
        async with calls_to(f"http://127.0.0.1:{starting.getsockname()[1]}") as bookings:
            call = asyncio.create_task(bookings.post("/x", {}))
            await asyncio.sleep(0.01)  # far less than the pause before the second try
            server = await asyncio.start_server(answer, sock=starting)

            assert await call == InnerAnswer(200, {})

            server.close()


@pytest.mark.parametrize(
    ("method", "repeatable", "expected"), [("post", False, 1), ("post", True, 2), ("get", True, 2)]
)
async def test_a_broken_call_is_repeated_only_when_that_does_no_harm(
    method: str, repeatable: bool, expected: int
) -> None:
    received = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        await reader.readuntil(b"\r\n\r\n")
        received += 1
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with calls_to(f"http://127.0.0.1:{port}") as bookings:
        call = (
            bookings.get("/x")
            if method == "get"
            else bookings.post("/x", {}, repeatable=repeatable)
        )
        with pytest.raises(Unavailable):
            await call
    server.close()

    assert received == expected


async def test_calls_share_a_connection() -> None:
    ports = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.json_response({})

    async with a_callee(handler) as url, calls_to(url) as bookings:
        for _ in range(3):
            await bookings.post("/x", {})

    assert len(ports) == 1
