"""The ids, the log line and the metrics of each request."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog
from fastapi import APIRouter, FastAPI
from prometheus_client import REGISTRY
from starlette.responses import JSONResponse, Response

from shared.http import ASGITransport, AsyncClient
from shared.observability import (
    RequestContextMiddleware,
    current_request_id,
    current_trace_id,
    current_traceparent,
    metrics_response,
    note_user,
    story,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
USER = UUID("018f2d3c-7b1a-7c3e-9d41-5f0c2b6a8e10")


def an_app() -> FastAPI:
    app = FastAPI(middleware=[])
    inner = APIRouter(prefix="/secrets")
    shared_answer = Response(b"same")

    @app.get("/v1/ids")
    async def ids() -> dict[str, str | None]:
        return {
            "traceparent": current_traceparent(),
            "trace": current_trace_id(),
            "request": current_request_id(),
        }

    @inner.get("/{token}/read")
    async def read(token: str) -> None:
        note_user(USER)

    @app.get("/v1/shared")
    async def same_object() -> Response:
        return shared_answer

    @app.get("/v1/crash/{token}")
    async def crash(token: str) -> None:
        raise ValueError(token)

    @app.get("/healthz")
    async def healthz() -> None:
        return None

    @app.get("/readyz")
    async def readyz() -> Response:
        return JSONResponse({}, 503)

    app.include_router(inner, prefix="/v1")
    return app


@pytest.fixture
async def client() -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(RequestContextMiddleware(an_app()), raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.mark.parametrize("given", ["a", "0f9-A.b_c", "x" * 64])
async def test_a_request_keeps_the_id_it_was_given(client: AsyncClient, given: str) -> None:
    answer = await client.get("/v1/ids", headers={"X-Request-Id": given})

    assert answer.headers["x-request-id"] == given
    assert answer.json()["request"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "a\r\nb", "é", '{"a":1}', "a/b"])
async def test_a_request_without_a_safe_id_gets_one(client: AsyncClient, given: str | None) -> None:
    headers = {} if given is None else {b"X-Request-Id": given.encode()}

    made = [(await client.get("/v1/ids", headers=headers)).headers["x-request-id"] for _ in "ab"]

    assert made[0] != made[1]
    assert all(len(each) == 32 for each in made)


@pytest.mark.parametrize("path", ["/v1/ids", "/nothing", "/v1/crash/x"])
async def test_every_answer_carries_exactly_one_id(client: AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"X-Request-Id": "mine"})

    assert answer.headers.get_list("x-request-id") == ["mine"]


async def test_one_answer_object_may_be_given_many_times(client: AsyncClient) -> None:
    for number in range(3):
        answer = await client.get("/v1/shared", headers={"X-Request-Id": f"id-{number}"})

        assert answer.headers.get_list("x-request-id") == [f"id-{number}"]


@pytest.mark.parametrize(
    ("flags", "version", "rest"), [("01", "00", ""), ("00", "00", ""), ("01", "cc", "-more")]
)
async def test_a_trace_is_continued(
    client: AsyncClient, flags: str, version: str, rest: str
) -> None:
    given = f"{version}-{TRACE}-{SPAN}-{flags}{rest}"

    told = (await client.get("/v1/ids", headers={"traceparent": given})).json()

    assert told["trace"] == TRACE
    ours = told["traceparent"].split("-")
    assert ours[:2] == ["00", TRACE]
    assert ours[2] != SPAN
    assert ours[3] == flags


@pytest.mark.parametrize(
    "given",
    [
        "",
        "garbage",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-" + "x" * 5000,
    ],
)
async def test_an_invalid_trace_is_not_continued(client: AsyncClient, given: str) -> None:
    told = (await client.get("/v1/ids", headers={"traceparent": given})).json()

    assert told["trace"] != TRACE
    assert len(told["trace"]) == 32


async def test_the_log_line_has_the_template_and_nothing_that_was_sent(
    client: AsyncClient, lines: list[Any]
) -> None:
    await client.get("/v1/secrets/tok-4711/read?token=tok-4712")
    await client.get("/v1/nothing/tok-4713")
    await client.get("/v1/crash/tok-4714")
    await client.request("GEHEIM", "/v1/ids?q=tok-4715")

    told = [(line["route"], line["status"], line["log_level"]) for line in lines]
    assert told == [
        ("/v1/secrets/{token}/read", 200, "info"),
        ("unmatched", 404, "info"),
        ("/v1/crash/{token}", 500, "error"),
        ("/v1/ids", 405, "info"),
    ]
    assert "tok-" not in json.dumps(lines)
    assert all(line["ms"] >= 0 for line in lines)


async def test_probes_are_told_only_when_they_fail(client: AsyncClient, lines: list[Any]) -> None:
    await client.get("/healthz")
    await client.get("/readyz")

    assert [line["route"] for line in lines] == ["/readyz"]


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_requests_are_counted_by_template(client: AsyncClient) -> None:
    series = {"method": "GET", "route": "/v1/secrets/{token}/read", "status": "2xx"}
    unknown = {"method": "OTHER", "route": "unmatched", "status": "4xx"}
    count = "http_request_duration_seconds_count"
    before = sample(count, **series), sample(count, **unknown)

    await client.get("/v1/secrets/a/read")
    await client.get("/v1/secrets/b/read")
    await client.request("GEHEIM", "/v1/nosuchroute/x")

    assert sample(count, **series) == before[0] + 2
    assert sample(count, **unknown) == before[1] + 1
    assert "nosuchroute" not in bytes(metrics_response().body).decode()


async def test_nothing_stays_in_flight(client: AsyncClient) -> None:
    before = sample("http_requests_in_flight")

    await client.get("/v1/ids")
    await client.get("/v1/crash/x")

    assert sample("http_requests_in_flight") == before


async def test_metrics_are_served_in_the_format_of_prometheus() -> None:
    answer = metrics_response()

    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert b"http_requests_in_flight" in bytes(answer.body)


def test_outside_of_any_story_there_are_no_ids() -> None:
    assert current_traceparent() is None
    assert current_trace_id() is None
    assert current_request_id() is None


def test_a_message_continues_the_story_of_its_event() -> None:
    with story("test", traceparent=f"00-{TRACE}-{SPAN}-01"):
        outer = current_traceparent()
        with story("test"):
            assert current_trace_id() != TRACE
        assert current_traceparent() == outer
        assert current_trace_id() == TRACE
    assert current_traceparent() is None
