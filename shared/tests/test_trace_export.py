"""Spans reach a collector over OTLP, and no collector, however bad, is felt by a request."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from prometheus_client import REGISTRY
from pydantic import ValidationError
from structlog.testing import capture_logs

from shared.observability import begin, story
from shared.observability.exporting import spans_exported
from shared.observability.recording import Sampling, SpanQueue, recording
from shared.observability.trace import is_recorded
from shared.settings import ServiceSettings
from shared.testing.api import client_of
from shared.testing.spans import Collector, recorded
from shared.testing.tokens import SERVICE_SECRET
from shared.testing.toy_api import make_toy_api, toy_settings

_LIMIT = 20.0
_SETTINGS = {
    "database_url": "postgresql://nobody@localhost/nothing",
    "amqp_url": "amqp://nobody@127.0.0.1:1/",
    "auth_issuer": "https://issuer.test",
    "auth_audience": "medic",
    "auth_jwks": "jwks.json",
    "service_secret": SERVICE_SECRET,
}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector().serving() as collector:
        yield collector


def count(outcome: str) -> float:
    return REGISTRY.get_sample_value("trace_spans_total", {"outcome": outcome}) or 0.0


async def until(condition: Callable[[], Any]) -> None:
    deadline = monotonic() + _LIMIT
    while not condition():
        assert monotonic() < deadline, "the condition has not come true"
        await asyncio.sleep(0.01)


def settings_with(**given: Any) -> ServiceSettings:
    return ServiceSettings(**{**_SETTINGS, **given})


async def test_what_waits_is_sent_before_a_process_ends(collector: Collector) -> None:
    settings = settings_with(
        otel_exporter_otlp_endpoint=collector.url,
        otel_traces_sampler="parentbased_always_on",
    )

    async with spans_exported(settings, "bookings-worker"):
        with story("timer", attributes={"medic.timer": "hold expiry", "untold": "Maria"}):
            pass

    span = collector.seen.one("timer")
    assert (span.service, span.attributes) == ("bookings-worker", {"medic.timer": "hold expiry"})
    assert "Maria" not in collector.seen.told()
    assert not is_recorded()


async def test_an_api_exports_while_it_runs(collector: Collector, jwks_file: Path) -> None:
    settings = toy_settings(jwks_file).model_copy(
        update={
            "otel_exporter_otlp_traces_endpoint": f"{collector.url}/v1/traces",
            "otel_traces_sampler": "always_on",
            "otel_service_name": "renamed",
        }
    )

    async with client_of(make_toy_api(settings)) as client:
        answer = await client.get("/nothing")

    assert answer.status_code == 404
    assert {span.service for span in collector.seen.named("GET")} == {"renamed"}


async def test_a_collector_that_hangs_is_not_felt_and_costs_only_spans(
    collector: Collector,
) -> None:
    collector.hold()
    before, size = count("dropped"), 100
    queue = a_queue(collector, size=size)
    try:
        with recording(queue, Sampling.of("always_on", 1)):
            began = monotonic()
            begin("first").end()
            spent = monotonic() - began
            await until(lambda: collector.requests)
            began = monotonic()
            for _ in range(10 * size):
                begin("more").end()
            spent += monotonic() - began
    finally:
        collector.go_on.set()
        await queue.close(_LIMIT)

    assert spent < _LIMIT / 2, "a span takes microseconds, not the patience of an exporter"
    assert count("dropped") - before == 9 * size + 1
    assert len(collector.seen.spans) == size


async def test_an_end_does_not_wait_for_a_collector_that_hangs(collector: Collector) -> None:
    collector.hold()
    queue = a_queue(collector, size=10)
    before = count("dropped")
    with recording(queue, Sampling.of("always_on", 1)):
        begin("first").end()
        begin("second").end()
        await until(lambda: collector.requests)
    began = monotonic()

    with capture_logs() as lines:
        await queue.close(0.3)

    assert monotonic() - began < _LIMIT / 2
    assert count("dropped") - before == 2
    assert [line["event"] for line in lines] == ["traces_lost"]
    collector.go_on.set()
    await until(lambda: collector.seen.spans)


async def test_a_collector_that_is_away_is_told_of_once() -> None:
    with Collector().serving() as gone:
        url = gone.url
    failed = count("failed")
    with capture_logs() as lines:
        queue = a_queue_to(url, timeout=1)
        with recording(queue, Sampling.of("always_on", 1)):
            for each in range(3):
                begin("lost").end()
                await until(lambda each=each: count("failed") - failed > each)
        await queue.close(_LIMIT)

    assert count("failed") - failed >= 3
    told = [line["event"] for line in lines if line["event"].startswith("traces_")]
    assert told == ["traces_not_taken"]


def a_queue(collector: Collector, *, size: int) -> SpanQueue:
    return a_queue_to(collector.url, size=size)


def a_queue_to(url: str, *, size: int = 10, timeout: float = _LIMIT) -> SpanQueue:
    exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces", timeout=timeout)
    return SpanQueue(exporter, size=size, every_ms=1)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, None),
        ({"otel_exporter_otlp_endpoint": ""}, None),
        ({"otel_exporter_otlp_endpoint": "http://c:4318"}, "http://c:4318/v1/traces"),
        ({"otel_exporter_otlp_endpoint": "http://c:4318/"}, "http://c:4318/v1/traces"),
        ({"otel_exporter_otlp_endpoint": "https://c/otlp"}, "https://c/otlp/v1/traces"),
        (
            {
                "otel_exporter_otlp_endpoint": "http://c:4318",
                "otel_exporter_otlp_traces_endpoint": "http://t/x",
            },
            "http://t/x",
        ),
        ({"otel_exporter_otlp_endpoint": "http://c", "otel_sdk_disabled": "true"}, None),
    ],
)
def test_the_standard_variables_say_where_spans_go(given: dict[str, Any], url: str | None) -> None:
    assert settings_with(**given).traces_url == url


@pytest.mark.parametrize(
    "wrong",
    [
        {"otel_exporter_otlp_endpoint": "c:4317"},
        {"otel_exporter_otlp_endpoint": "http://c 1"},
        {"otel_traces_sampler": "sometimes"},
        {"otel_traces_sampler_arg": "1.5"},
        {"otel_traces_sampler_arg": "nan"},
    ],
)
def test_a_wrong_variable_stops_the_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings_with(**wrong)


def test_variables_that_are_empty_are_not_set() -> None:
    empty = dict.fromkeys(
        ("otel_traces_sampler", "otel_traces_sampler_arg", "otel_service_name", "otel_sdk_disabled")
        , ""
    )  # fmt: skip

    assert settings_with(**empty) == settings_with()


def test_a_tenth_of_the_stories_is_recorded_unless_told_otherwise() -> None:
    settings = settings_with()
    with recorded(settings.otel_traces_sampler, settings.otel_traces_sampler_arg) as seen:
        for _ in range(5000):
            begin("request").end()

    # 500 are expected; six standard deviations are 127.
    assert 370 < len(seen.spans) < 630


def test_while_telemetry_is_off_nothing_of_its_sdk_is_loaded(jwks_file: Path) -> None:
    program = """
import asyncio, json, sys
from shared.app import create_app
from shared.observability import story
from shared.settings import ServiceSettings
import shared.worker, shared.messaging.loops

async def main():
    app = create_app(
        ServiceSettings(), service="toy", title="t", description="d", routers=[]
    )
    async with app.router.lifespan_context(app):
        with story("request"):
            pass

asyncio.run(main())
print(json.dumps([name for name in sys.modules if name.startswith("opentelemetry.")]))
"""
    environment = {name.upper(): str(value) for name, value in _SETTINGS.items()}
    environment["AUTH_JWKS"] = str(jwks_file)
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    loaded = json.loads(ended.stdout.splitlines()[-1])
    sdk = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto")
    assert not [name for name in loaded if name.startswith(sdk)]
