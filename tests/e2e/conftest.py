"""One system for all journeys; a test that breaks something leaves it whole again."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from shared.http import AsyncClient
from shared.testing.spans import Collector
from tests.e2e.system import Caller, System, started


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    with Collector().serving() as collector:
        yield collector


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[System]:
    """All of its processes can tell the collector; hardly any story is one in a million."""
    telemetry = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_TRACES_SAMPLER_ARG": "1e-6"}
    with started(tmp_path_factory.mktemp("system") / "run", settings=telemetry) as running:
        yield running


@pytest.fixture
async def client(system: System) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(base_url=system.base_url, timeout=60) as open_client:
        yield open_client


@pytest.fixture
def patient(system: System, client: AsyncClient) -> Callable[[int], Caller]:
    """The nth demo patient, contact details and all."""

    def caller(number: int) -> Caller:
        known = system.demo["patients"][number]
        return Caller(client, known["token"], known["id"])

    return caller


@pytest.fixture
def provider_caller(system: System, client: AsyncClient) -> Caller:
    known = system.demo["providers"][0]
    return Caller(client, known["token"], known["id"])
