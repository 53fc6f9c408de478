"""One system for all journeys; a test that breaks something leaves it whole again."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from shared.http import AsyncClient
from tests.e2e.system import Caller, System, started


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with started(tmp_path_factory.mktemp("system") / "run") as running:
        yield running


@pytest.fixture
async def client(system: System) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(base_url=system.base_url, timeout=20) as open_client:
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
