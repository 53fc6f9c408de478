"""What spans say, what they never say, and whose word decides whether they are recorded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text

from shared.auth import ServiceTokens
from shared.db import Database
from shared.http import ASGITransport, AsyncClient, MockTransport, Request, Response, new_client
from shared.inner_calls import InnerCalls
from shared.observability import RequestContextMiddleware, current_traceparent, step, story
from shared.observability.attributes import ALLOWED
from shared.observability.recording import harmless
from shared.outside import Outside
from shared.testing.spans import recorded
from shared.testing.tokens import SERVICE_SECRET
from shared.traced_connection import summary

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
LOW = f"00-{'a' * 16}{'0' * 15}1-{SPAN}"
"""An id that every share above nothing takes; the flags follow."""


def an_app() -> FastAPI:
    app = FastAPI()

    @app.get("/v1/reservations/{token}")
    async def read(token: str) -> dict[str, str | None]:
        with step("look"):
            return {"traceparent": current_traceparent()}

    @app.get("/v1/crash/{token}")
    async def crash(token: str) -> None:
        raise ValueError(token)

    @app.get("/healthz")
    async def healthz() -> None:
        return None

    return app


@asynccontextmanager
async def a_client() -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(RequestContextMiddleware(an_app()), raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_a_request_is_a_span_with_the_routes_template() -> None:
    async with a_client() as client:
        with recorded() as seen:
            await client.get("/v1/reservations/tok-1?email=maria@example.com")

    inner, outer = seen.spans
    assert (outer.name, outer.kind) == ("GET /v1/reservations/{token}", "server")
    assert outer.attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/reservations/{token}",
        "http.response.status_code": 200,
    }
    assert (inner.name, inner.parent_id) == ("look", outer.span_id)
    assert outer.parent_id is None


async def test_a_span_says_nothing_of_what_was_sent() -> None:
    headers = {"authorization": "Bearer tok-2", "baggage": "who=tok-3", "tracestate": "a=tok-4"}
    async with a_client() as client:
        with recorded() as seen:
            await client.get("/v1/reservations/tok-1?q=tok-5", headers=headers)
            await client.get("/v1/nothing/tok-6")
            await client.get("/v1/crash/tok-7")
            await client.request("TOK-8", "/v1/crash/x")

    assert [span.name for span in seen.spans if span.kind == "server"] == [
        "GET /v1/reservations/{token}",
        "GET",
        "GET /v1/crash/{token}",
        "HTTP /v1/crash/{token}",
    ]
    assert "tok-" not in seen.told().lower()
    [crash] = seen.named("GET /v1/crash/{token}")
    assert crash.has_failed
    assert crash.attributes["error.type"] == "ValueError"
    assert all(span.attributes.keys() <= ALLOWED for span in seen.spans)


async def test_probes_are_no_spans() -> None:
    async with a_client() as client:
        with recorded() as seen:
            await client.get("/healthz", headers={"traceparent": SAMPLED})

    assert seen.spans == []


@pytest.mark.parametrize("sampler", ["parentbased_always_on", "parentbased_always_off"])
async def test_one_of_ours_decides_for_those_it_calls(sampler: str) -> None:
    async with a_client() as client:
        with recorded(sampler) as seen:
            await client.get("/v1/reservations/a", headers={"traceparent": UNSAMPLED})
            assert seen.spans == []
            answer = await client.get("/v1/reservations/a", headers={"traceparent": SAMPLED})

    [inner, outer] = seen.spans
    assert (outer.trace_id, outer.parent_id) == (TRACE, SPAN)
    assert answer.json()["traceparent"] == f"00-{TRACE}-{inner.span_id}-01"


@pytest.mark.parametrize("flags", ["00", "01"])
@pytest.mark.parametrize(("sampler", "share", "count"), [
    ("parentbased_always_off", 1.0, 0),
    ("parentbased_always_on", 1.0, 2),
    ("parentbased_traceidratio", 0.0, 0),
    ("parentbased_traceidratio", 0.001, 2),
])  # fmt: skip
async def test_an_outsider_is_continued_and_decides_nothing(
    flags: str, sampler: str, share: float, count: int
) -> None:
    headers = {"traceparent": f"{LOW}-{flags}", "x-forwarded-for": "203.0.113.7"}
    async with a_client() as client:
        with recorded(sampler, share) as seen:
            answer = await client.get("/v1/reservations/a", headers=headers)

    assert len(seen.spans) == count
    _, trace_id, _, ours = answer.json()["traceparent"].split("-")
    assert trace_id == LOW.split("-")[1]
    assert ours == ("01" if count else "00")


async def test_without_telemetry_an_outsider_switches_nothing_on_behind_us() -> None:
    async with a_client() as client:
        answer = await client.get(
            "/v1/reservations/a",
            headers={"traceparent": SAMPLED, "x-forwarded-for": "203.0.113.7"},
        )

    assert answer.json()["traceparent"].startswith(f"00-{TRACE}-")
    assert answer.json()["traceparent"].endswith("-00")


async def test_a_story_of_which_nothing_is_recorded_has_no_steps() -> None:
    with recorded("always_off") as seen, story("tick") as outer, step("inner") as inner:
        assert current_traceparent() == outer.traceparent
        assert inner.recorded is None

    assert seen.spans == []


async def test_a_call_to_another_service_is_the_parent_of_its_work() -> None:
    received: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        received.append(request.headers["traceparent"])
        return web.json_response({}, status=409)

    async with a_server(handler) as url:
        tokens = ServiceTokens(SERVICE_SECRET, "reservations")
        async with InnerCalls.open(url, callee="bookings", tokens=tokens) as calls:
            with recorded() as seen, story("request"):
                await calls.post("/internal/holds/tok-1", {"name": "tok-2"})

    call, outer = seen.spans
    assert received == [f"00-{call.trace_id}-{call.span_id}-01"]
    assert (call.name, call.kind, call.parent_id) == ("POST bookings", "client", outer.span_id)
    assert call.attributes == {
        "http.request.method": "POST",
        "server.address": "bookings",
        "http.response.status_code": 409,
        "error.type": "409",
    }


async def test_calls_to_the_outside_tell_nobody_of_our_trace_and_no_host_that_was_entered() -> None:
    received: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        received.append(dict(request.headers))
        return web.json_response({})

    async with a_server(handler) as url:
        opened = [url.removeprefix("http://")]
        async with Outside.open(opened=opened) as outside:
            with recorded() as seen, story("request"):
                async with outside.call("POST", f"{url}/hook/tok-1") as answer:
                    assert answer.status == 200

    [headers] = received
    assert not {"traceparent", "tracestate", "baggage"} & {name.lower() for name in headers}
    [call] = seen.named("POST")
    assert call.attributes == {"http.request.method": "POST", "http.response.status_code": 200}


async def test_calls_by_httpx_are_spans_that_name_the_host_only() -> None:
    def answer(request: Request) -> Response:
        assert "traceparent" not in request.headers
        return Response(200)

    async with new_client(transport=MockTransport(answer)) as client:
        with recorded() as seen, story("visit"):
            await client.get("https://graph.example/me/events/tok-1?token=tok-2")

    [call] = seen.named("GET graph.example")
    assert call.kind == "client"
    assert "tok-" not in seen.told()


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("BEGIN;", "BEGIN"),
        ("SELECT a, b FROM appointments WHERE name = 'Maria'", "SELECT appointments"),
        ("select id from only holds for update", "SELECT holds"),
        ("SELECT * FROM unnest($1::uuid[]) AS given JOIN jobs USING (id)", "SELECT"),
        ("INSERT INTO claims (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET a = 2", "INSERT claims"),
        ("WITH a AS (SELECT FROM x FOR UPDATE OF x) UPDATE  jobs SET b = 1", "UPDATE jobs"),
        ("DELETE FROM inbox", "DELETE inbox"),
        ("/* only a remark */", "STATEMENT"),
    ],
)
def test_a_statement_is_told_by_verb_and_table(statement: str, name: str) -> None:
    assert summary(statement) == name


async def test_statements_are_spans_without_their_text(database_url: str) -> None:
    with recorded() as seen:
        async with Database.open(database_url, application_name="test") as database:
            async with database.transaction() as db:
                await db.execute("SELECT set_config('medic.untold', $1, true)", "maria@example.com")
            with story("request"):
                async with database.transaction() as db:
                    await db.fetch("SELECT id FROM effects WHERE id::text = $1", "maria@x.example")
                async with database.orm_transaction() as session:
                    wanted = {"who": "maria@y.example"}
                    await session.execute(text("DELETE FROM effects WHERE id::text = :who"), wanted)

    outer = seen.one("request")
    names = [span.name for span in seen.spans if span.parent_id == outer.span_id]
    assert [name for name in names if name.split()[-1] == "effects"] == [
        "SELECT effects",
        "DELETE effects",
    ]
    assert "COMMIT" in names
    assert "BEGIN" not in names
    assert "maria" not in seen.told()
    assert all(span.attributes.keys() <= ALLOWED for span in seen.spans)


async def test_a_statement_that_fails_tells_the_kind_of_error_only(database_url: str) -> None:
    with recorded() as seen:
        async with Database.open(database_url, application_name="test") as database:
            with story("request"):
                with pytest.raises(asyncpg.PostgresError):
                    async with database.reading() as db:
                        await db.fetchval("SELECT 'maria'::integer FROM effects, effects AS e")
                with pytest.raises(Exception, match="maria"):
                    async with database.orm_reading() as session:
                        await session.execute(text("SELECT 'maria'::integer FROM effects"))

    failed = [span for span in seen.spans if span.name == "SELECT effects"]
    assert [span.has_failed for span in failed] == [True, True]
    assert "maria" not in seen.told()


def test_what_is_not_listed_never_leaves() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("mail to maria@example.com") as span:
        span.set_attribute("patient.email", "maria@example.com")
        span.set_attribute("patient.name", "Maria")
        span.set_attribute("http.route", "/v1/x?email=maria@example.com")
        span.set_attribute("server.address", "+302101234567")
        span.set_attribute("http.response.status_code", 200)
        span.record_exception(ValueError("maria@example.com"))
        span.set_status(span.status.__class__(span.status.status_code.ERROR, "maria"))

    [made] = exporter.get_finished_spans()
    left = harmless(made)

    assert left.name == "unnamed"
    assert left.attributes == {"http.response.status_code": 200}
    assert (list(left.events), left.status.description, left.status.is_ok) == ([], None, False)
    assert left.context == made.context
    assert "maria" not in left.to_json().lower()


@asynccontextmanager
async def a_server(handler: Any) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
