from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from availability.app import make_app
from shared.auth import ServiceTokens
from shared.http import AsyncClient
from shared.settings import ServiceSettings
from shared.testing.api import client_of
from shared.testing.tokens import SERVICE_SECRET, MakeToken

As = Callable[..., dict[str, str]]


@pytest.fixture(scope="session")
def service_folder() -> Path:
    return Path(__file__).parents[1]


@pytest.fixture
async def api(settings_values: dict[str, Any], make_token: MakeToken) -> AsyncIterator[AsyncClient]:
    """The API as some patient sees it."""
    app = make_app(ServiceSettings(**settings_values))
    async with client_of(app, token=make_token("patient", uuid4())) as client:
        yield client


@pytest.fixture
def as_user(make_token: MakeToken) -> As:
    """Headers of somebody else."""

    def headers(role: str, sub: UUID) -> dict[str, str]:
        return {"Authorization": f"Bearer {make_token(role, sub)}"}

    return headers


@pytest.fixture(scope="session")
def as_reservations() -> dict[str, str]:
    """Headers of the service that asks before it holds."""
    token = ServiceTokens(SERVICE_SECRET, "reservations").token_for("availability")
    return {"Authorization": f"Bearer {token}"}
