"""What the gateway does with clients who want too much, or to confuse it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.gateway import TEMPLATE
from local.waiting import wait_for

from .front import Answer, Front, a_gateway

CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with a_gateway(tmp_path) as gateway:
        yield gateway


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[Front]:
    """One that waits for a second where the real one waits for fifteen."""
    template = tmp_path / "template"
    template.write_text(
        TEMPLATE.read_text()
        .replace("client_header_timeout 15s", "client_header_timeout 1s")
        .replace("client_body_timeout 15s", "client_body_timeout 1s")
    )
    async with a_gateway(tmp_path, template=template) as gateway:
        yield gateway


def post(*headers: bytes, body: bytes = b"") -> bytes:
    return b"POST /v1/bookings HTTP/1.1\r\nHost: clinic\r\n" + b"".join(headers) + b"\r\n" + body


SMUGGLED = b"0\r\n\r\nGET /internal/holds HTTP/1.1\r\nHost: clinic\r\n\r\n"
TWO_LENGTHS = {
    "length and chunks": post(b"Content-Length: 4\r\n", CHUNKED, body=SMUGGLED),
    "chunks and length": post(CHUNKED, b"Content-Length: 60\r\n", body=SMUGGLED),
    "two lengths": post(b"Content-Length: 0\r\n", b"Content-Length: 40\r\n", body=SMUGGLED),
    "chunks twice": post(CHUNKED, CHUNKED, body=SMUGGLED),
    "chunks that are none": post(b"Transfer-Encoding: xchunked\r\n", body=SMUGGLED),
    "chunks last": post(b"Transfer-Encoding: identity, chunked\r\n", body=SMUGGLED),
    "a negative length": post(b"Content-Length: -1\r\n", body=SMUGGLED),
    "a length with a sign": post(b"Content-Length: +1\r\n", body=SMUGGLED),
    "a length in hex": post(b"Content-Length: 0x10\r\n", body=SMUGGLED),
    "a space before the colon": post(b"Content-Length : 4\r\n", body=SMUGGLED),
    "a chunk without end": post(CHUNKED, body=b"fffffffffffffffff\r\nx"),
}


@pytest.mark.parametrize("raw", TWO_LENGTHS.values(), ids=TWO_LENGTHS.keys())
async def test_a_request_whose_end_is_not_clear_goes_nowhere(front: Front, raw: bytes) -> None:
    answer = await front.send(raw)

    assert answer.status in (400, 405, 411, 413)
    assert answer.headers["content-type"] == "application/problem+json"
    assert front.reached == []


async def test_a_header_with_a_line_break_in_it_is_one_header(front: Front) -> None:
    folded = b"GET /v1/bookings HTTP/1.1\r\nHost: clinic\r\nX-A: 1\r\n Content-Length: 5\r\n\r\n"

    answer = await front.send(folded)

    assert answer.status == 400
    assert front.reached == []


@pytest.mark.parametrize(
    "host",
    ["", " ", "a b", "clinic/../x", "clinic\\x", "x" * 300 + "/", "[::1", "a\tb", "clinic:80:80"],
)
async def test_an_absurd_host_is_refused(front: Front, host: str) -> None:
    answer = await front.send(f"GET /v1/bookings HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())

    assert answer.status == 400
    assert front.reached == []


async def test_two_hosts_are_refused(front: Front) -> None:
    answer = await front.get("/v1/bookings", headers="Host: another\r\n")

    assert answer.status == 400
    assert front.reached == []


async def test_old_http_is_served(front: Front) -> None:
    answer = await front.send(b"GET /v1/bookings HTTP/1.0\r\nHost: clinic\r\n\r\n")

    assert answer.status == 200
    assert answer.json["request"] == "GET /v1/bookings HTTP/1.1"


@pytest.mark.parametrize(
    "name",
    ["X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Forwarded-Prefix", "X-Path"],
)
async def test_no_header_leads_elsewhere(front: Front, name: str) -> None:
    hidden = await front.get("/internal/holds", headers=f"{name}: /v1/bookings\r\n")
    shown = await front.get("/v1/bookings", headers=f"{name}: /internal/holds\r\n")

    assert hidden.status == 404
    assert (shown.status, shown.json["request"]) == (200, "GET /v1/bookings HTTP/1.1")


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /v1/bookings HTTP/1.1\r\nHost: cli",
        post(b"Content-Length: 100\r\n", body=b"{"),
        post(CHUNKED, body=b"5\r\n{"),
    ],
    ids=["headers", "body", "chunks"],
)
async def test_who_does_not_finish_is_not_waited_for(hasty: Front, begun: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", hasty.port)
    writer.write(begun)

    told = await until_let_go(reader)
    writer.close()

    assert told == b"" or b" 408 " in told.split(b"\r\n")[0]


async def until_let_go(reader: asyncio.StreamReader) -> bytes:
    """What the gateway says before it ends the connection, politely or not."""
    try:
        async with asyncio.timeout(60):
            return await reader.read()
    except ConnectionResetError:
        return b""


async def test_many_slow_clients_keep_nobody_out(hasty: Front) -> None:
    slow = [await asyncio.open_connection("127.0.0.1", hasty.port) for _ in range(200)]
    for _, writer in slow:
        writer.write(b"GET /v1/bookings HTTP/1.1\r\nX-A: ")

    answer = await hasty.get("/v1/bookings")

    told = [await until_let_go(reader) for reader, _ in slow]
    for _, writer in slow:
        writer.close()
    assert answer.status == 200
    assert len(told) == len(slow)


async def test_one_client_has_so_many_requests_under_way(tmp_path: Path) -> None:
    async with a_gateway(tmp_path, GATEWAY_REQUESTS_AT_ONCE="2") as front:
        front.upstreams["notifications"].streams = True
        streams = [await asyncio.open_connection("127.0.0.1", front.port) for _ in range(2)]
        for reader, writer in streams:
            writer.write(b"GET /v1/realtime?channels=x HTTP/1.1\r\nHost: clinic\r\n\r\n")
            async with asyncio.timeout(30):
                await reader.readuntil(b"event: ready")
        refused = await front.get("/v1/bookings")
        health = await front.get("/healthz")
        for _, writer in streams:
            writer.close()
        front.upstreams["notifications"].goes_on.set()

        async def is_served() -> Answer | None:
            answer = await front.get("/v1/bookings")
            return answer if answer.status == 200 else None

        await wait_for(is_served, "room for another request", limit=30)

    assert (refused.status, refused.json["code"]) == (429, "too_many")
    assert refused.headers["retry-after"] == "1"
    assert health.status == 200


async def test_every_answer_is_what_it_says_it_is(front: Front) -> None:
    front.upstreams["reservations"].breaks = True
    answers = [
        await front.get(path)
        for path in ("/v1/bookings", "/nowhere", "/healthz", "/v1/reservations")
    ]

    assert [each.status for each in answers] == [200, 404, 200, 503]
    assert {each.headers.get("x-content-type-options") for each in answers} == {"nosniff"}


async def test_browsers_keep_to_tls_where_it_is(front: Front) -> None:
    behind_tls = await front.get("/v1/bookings", headers="X-Forwarded-Proto: https\r\n")
    plain = await front.get("/v1/bookings")

    assert behind_tls.headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in plain.headers
