"""The real nginx with the real template, in front of stand-in services."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.gateway import TEMPLATE
from local.waiting import wait_for
from shared.problems import TYPES, Problem

from .front import Front, a_gateway

ID = "0192f0c1-7d5e-7cc3-98c4-dc0c0c07398f"


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with a_gateway(tmp_path) as gateway:
        yield gateway


ROUTES = {
    f"/v1/providers/{ID}/availability?serviceId=x&date=2026-01-01": "availability",
    f"/v1/providers/{ID}": "availability",
    f"/v1/providers/{ID}/schedule/rules": "availability",
    "/v1/providers": "availability",
    f"/v1/providers/{ID}/appointment-types": "availability",
    f"/v1/providers/{ID}/locations/{ID}/rooms": "availability",
    f"/v1/providers/{ID}/resources/{ID}": "availability",
    f"/v1/providers/{ID}/appointments?from=x": "bookings",
    f"/v1/providers/{ID}/calendar-feed": "calendar-sync",
    f"/v1/providers/{ID}/calendar-connections/{ID}": "calendar-sync",
    f"/v1/providers/{ID}/calendar-import/{ID}": "calendar-sync",
    f"/v1/users/{ID}/calendar-feed/links/{ID}": "calendar-sync",
    "/v1/availability/search": "availability",
    "/v1/reservations": "reservations",
    "/v1/reservations/a-token": "reservations",
    "/v1/reservations/a-token/extend": "reservations",
    "/v1/bookings": "bookings",
    f"/v1/appointments/{ID}": "bookings",
    f"/v1/appointments/{ID}/audit": "bookings",
    f"/v1/appointments/{ID}/approve": "bookings",
    f"/v1/appointments/{ID}/reschedule": "bookings",
    f"/v1/appointments/{ID}/notes?limit=10": "bookings",
    f"/v1/appointments/{ID}/calendar.ics": "calendar-sync",
    f"/v1/users/{ID}/appointments?filter=upcoming": "bookings",
    f"/v1/users/{ID}/notifications": "notifications",
    f"/v1/users/{ID}/notification-preferences": "notifications",
    f"/v1/patients/{ID}": "bookings",
    f"/v1/users/{ID}/push-devices/{ID}": "notifications",
    f"/v1/providers/{ID}/notification-schedules/{ID}": "notifications",
    "/v1/notification-templates": "notifications",
    "/v1/notification-unsubscribe/a-token": "notifications",
    "/v1/realtime?channels=x": "notifications",
    "/v1/realtime/pusher-auth": "notifications",
    "/app/key?protocol=7": "notifications",
    "/v1/webhooks/calendar/google": "calendar-sync",
    "/v1/webhooks/notifications/twilio": "notifications",
    "/v1/calendar-feeds/a-token.ics": "calendar-sync",
    "/v1/realtime/tickets": "notifications",
    "/v1/webhook-endpoints": "notifications",
    f"/v1/webhook-endpoints/{ID}/deliveries?limit=5": "notifications",
    f"/v1/providers/{ID}/webhook-endpoints": "notifications",
    f"/v1/providers/{ID}/webhook-endpoints/{ID}/replay": "notifications",
    "/v1/calendar-connections/oauth/google/callback?state=x&code=y": "calendar-sync",
}


async def test_each_path_has_one_service_which_sees_it_as_it_was_written(front: Front) -> None:
    answers = {path: (await front.get(path)).json for path in ROUTES}

    assert {path: answer["service"] for path, answer in answers.items()} == ROUTES
    assert all(answers[path]["request"] == f"GET {path} HTTP/1.1" for path in ROUTES)


async def test_a_stream_passes_as_it_comes_and_its_ticket_is_not_logged(front: Front) -> None:
    front.upstreams["notifications"].streams = True
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(b"GET /v1/realtime?channels=x&ticket=s3cret HTTP/1.1\r\nHost: clinic\r\n\r\n")

    async with asyncio.timeout(20):
        await reader.readuntil(b"event: ready")
        front.upstreams["notifications"].goes_on.set()
        await reader.readuntil(b"event: later")
    writer.close()

    async def is_logged() -> bool:
        return b"/v1/realtime" in front.access_log.read_bytes()

    await wait_for(is_logged, "the log", limit=20)
    assert b"s3cret" not in front.access_log.read_bytes()


async def test_a_websocket_is_upgraded(front: Front) -> None:
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"

    answer = await front.get("/app/key?protocol=7", headers=upgrade)

    headers = answer.json["headers"]
    assert (headers["connection"], headers["upgrade"]) == ("upgrade", "websocket")


HIDDEN = [
    f"{prefix}{target}"
    for target in ("/internal/holds", "/metrics", "/readyz", "/docs", "/openapi.json")
    for prefix in ("", "/", "/v1", "/v1/..", "/v1/%2e%2e", "/v1/providers/../..", "/v1/bookings/..")
]
TRICKS = [
    "/v1/bookings/..%2f..%2finternal/holds",
    "/v1/bookings/%2e%2e/%2E%2E/internal/holds",
    "/v1/bookings/%252e%252e/%252e%252e/internal/holds",
    "/v1/bookings/..;/..;/internal/holds",
    "/v1/bookings/..\\..\\internal/holds",
    "/v1/bookings/..%5c..%5cinternal/holds",
    "/v1/bookings//../../internal/holds",
    "/v1/bookings/./../../internal/holds",
    "/v1//bookings",
    "/internal/../v1/bookings",
    "/internal./holds",
    "/internal%00/holds",
    "/INTERNAL/holds",
    "/%69nternal/holds",
    "/internal/holds?/v1/bookings",
    "/internal/holds#/v1/bookings",
    "http://clinic/internal/holds",
    "http://clinic//internal/holds",
    "/v1",
    "/",
    "/v1/bookingsx",
]


async def test_nothing_else_gets_through(front: Front) -> None:
    answers = {path: await front.get(path) for path in HIDDEN + TRICKS}

    assert front.reached == []
    assert {path for path, answer in answers.items() if answer.status not in (400, 404)} == set()
    for answer in answers.values():
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["status"] == answer.status


async def test_a_percent_in_the_query_is_no_trick(front: Front) -> None:
    answer = await front.get("/v1/bookings?cursor=%2e%2e%2f//x")

    assert answer.status == 200


async def test_it_is_alive_when_no_service_is(front: Front) -> None:
    answer = await front.get("/healthz")

    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert answer.headers["content-type"] == "application/json"


async def test_a_request_id_is_made_or_kept(front: Front) -> None:
    made = await front.get("/v1/bookings")
    kept = await front.get("/v1/bookings", headers="X-Request-Id: mine-1.2_3\r\n")
    refused = await front.get("/v1/bookings", headers="X-Request-Id: no spaces\r\n")
    own = await front.get("/nowhere", headers="X-Request-Id: mine\r\n")

    assert re.fullmatch("[0-9a-f]{32}", made.headers["x-request-id"])
    assert made.json["headers"]["x-request-id"] == made.headers["x-request-id"]
    assert kept.headers["x-request-id"] == kept.json["headers"]["x-request-id"] == "mine-1.2_3"
    assert re.fullmatch("[0-9a-f]{32}", refused.headers["x-request-id"])
    assert own.headers["x-request-id"] == "mine"


async def test_a_refusal_looks_like_one_of_a_service(front: Front) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = await front.get(
        "/nowhere",
        headers=f"X-Request-Id: mine\r\ntraceparent: 00-{trace}-b7ad6b7169203331-01\r\n",
    )

    assert Problem.model_validate(answer.json).code == "not_found"
    assert answer.json["type"] == f"{TYPES}not_found"
    assert answer.json["instance"] == "urn:request:mine"
    assert answer.json["traceId"] == trace


async def test_a_body_over_one_mebibyte_is_refused(front: Front) -> None:
    head = b"POST /v1/bookings HTTP/1.1\r\nHost: clinic\r\nContent-Length: %d\r\n\r\n"
    fits = await front.send(head % 2**20 + b"x" * 2**20)
    too_large = await front.send(head % (2**20 + 1))

    assert fits.status == 200
    assert too_large.status == 413
    assert too_large.json["code"] == "body_too_large"
    assert len(front.reached) == 1


async def test_a_calendar_file_may_be_larger(front: Front) -> None:
    head = f"POST /v1/providers/{ID}/calendar-import HTTP/1.1\r\nHost: clinic\r\n".encode()
    length = b"Content-Length: %d\r\n\r\n"
    fits = await front.send(head + length % 2**21 + b"x" * 2**21)
    too_large = await front.send(head + length % (2**21 + 1))

    assert (fits.status, too_large.status) == (200, 413)


NOT_HTTP = {
    b"GET /v1/bookings HTTP/1.1\r\n\r\n": 400,  # no Host
    b"nonsense\r\n\r\n": 400,
    b"TRACE /v1/bookings HTTP/1.1\r\nHost: c\r\n\r\n": 405,
    b"GET /v1/bookings HTTP/3.1\r\nHost: c\r\n\r\n": 400,
    b"GET /v1/bookings?" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: c\r\n\r\n": 414,
    b"GET /v1/bookings HTTP/1.1\r\nHost: c\r\nX: " + b"x" * 20_000 + b"\r\n\r\n": 400,
    b"POST /v1/bookings HTTP/1.1\r\nHost: c\r\nContent-Length: x\r\n\r\n": 400,
    b"POST /v1/bookings HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: gzip\r\n\r\n": 405,
}


async def test_what_is_not_http_gets_a_problem_document_too(front: Front) -> None:
    answers = {raw: await front.send(raw) for raw in NOT_HTTP}

    assert {raw: answer.status for raw, answer in answers.items()} == NOT_HTTP
    for answer in answers.values():
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["status"] == answer.status
    assert front.reached == []


async def test_a_service_that_is_down_is_503_with_retry_after(front: Front) -> None:
    front.upstreams["bookings"].breaks = True

    answer = await front.get("/v1/bookings")

    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == "try_again"
    assert "x-request-id" in answer.headers


async def test_a_post_is_never_sent_twice(front: Front) -> None:
    bookings = front.upstreams["bookings"]
    await front.get("/v1/bookings")  # leaves a kept connection behind
    bookings.breaks = True
    bookings.requests.clear()

    answer = await front.get("/v1/bookings", method="POST", headers="Content-Length: 0\r\n")

    assert answer.status == 503
    assert len(bookings.requests) == 1


async def test_a_refusal_of_a_service_passes_unchanged(front: Front) -> None:
    front.upstreams["bookings"].status = "404 Not Found"

    answer = await front.get("/v1/bookings")

    assert answer.status == 404
    assert answer.json["service"] == "bookings"


async def test_connections_to_services_are_kept(front: Front) -> None:
    for _ in range(20):
        await front.get("/v1/bookings")

    assert front.upstreams["bookings"].connections == 1


def by_the_minute(folder: Path) -> Path:
    """The template with minutes for seconds, of which none is over before a test is."""
    template = folder / "template"
    template.write_text(TEMPLATE.read_text().replace("PER_SECOND}r/s", "PER_SECOND}r/m"))
    return template


async def test_too_many_requests_are_429_with_retry_after(tmp_path: Path) -> None:
    limits = {"GATEWAY_RATE_PER_SECOND": "1", "GATEWAY_RATE_BURST": "3"}
    async with a_gateway(tmp_path, template=by_the_minute(tmp_path), **limits) as front:
        answers = [await front.get("/v1/bookings") for _ in range(6)]
        health = await front.get("/healthz")

    assert [answer.status for answer in answers] == [200, 200, 200, 200, 429, 429]
    assert answers[-1].headers["retry-after"] == "1"
    assert answers[-1].json["code"] == "too_many"
    assert health.status == 200


async def test_behind_a_trusted_proxy_each_client_has_its_own_limit(tmp_path: Path) -> None:
    limits = {"GATEWAY_RATE_PER_SECOND": "1", "GATEWAY_RATE_BURST": "1"}
    template = by_the_minute(tmp_path)
    trusted = {"GATEWAY_TRUSTED_PROXIES": "127.0.0.1"}
    async with a_gateway(tmp_path, template=template, **limits, **trusted) as front:
        statuses = [
            (await front.get("/v1/bookings", headers=f"X-Forwarded-For: {client}\r\n")).status
            for client in ["192.0.2.1"] * 3 + ["192.0.2.2", "192.0.2.1, 192.0.2.3"]
        ]

    assert statuses == [200, 200, 429, 200, 200]


async def test_nobody_else_is_believed_who_the_client_is(tmp_path: Path) -> None:
    limits = {"GATEWAY_RATE_PER_SECOND": "1", "GATEWAY_RATE_BURST": "1"}
    async with a_gateway(tmp_path, template=by_the_minute(tmp_path), **limits) as front:
        statuses = [
            (await front.get("/v1/bookings", headers=f"X-Forwarded-For: {client}\r\n")).status
            for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
        ]

    assert statuses == [200, 200, 429]


async def test_fifteen_hundred_connections_at_once_are_all_answered(front: Front) -> None:
    answers = await asyncio.gather(*(front.get("/v1/bookings") for _ in range(1500)))

    assert {answer.status for answer in answers} == {200}


async def test_the_access_log_holds_no_token_and_no_query(front: Front) -> None:
    await front.get("/v1/reservations/SECRET?also=SECRET")
    await front.get("/v1/reservations/SECRET/extend")
    await front.get("/v1/%72eservations/SECRET/%0aSECRET")
    await front.get("/v1/calendar-feeds/SECRET.ics")
    await front.get("/healthz?SECRET")
    front.upstreams["reservations"].breaks = True
    await front.get("/v1/reservations/SECRET")

    log = await wait_for(lambda: _complete(front.access_log, 6), "six log lines", limit=20)
    assert "SECRET" not in log
    assert [json.loads(line)["path"] for line in log.splitlines()][:2] == [
        "/v1/reservations/-",
        "/v1/reservations/-/extend",
    ]


async def _complete(log: Path, lines: int) -> str | None:
    text = await asyncio.to_thread(log.read_text)
    return text if len(text.splitlines()) >= lines else None
