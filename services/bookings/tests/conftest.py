from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from bookings.app import make_app
from bookings.settings import BookingsSettings
from shared.http import AsyncClient
from shared.testing.api import client_of
from shared.testing.tokens import MakeToken

from .stage import As


@pytest.fixture(scope="session")
def service_folder() -> Path:
    return Path(__file__).parents[1]


@pytest.fixture
async def api(settings_values: dict[str, Any]) -> AsyncIterator[AsyncClient]:
    async with client_of(make_app(BookingsSettings(**settings_values))) as client:
        yield client


@pytest.fixture
def as_user(make_token: MakeToken) -> As:
    """Headers of a caller; each with a new idempotency key."""

    def headers(role: str, sub: UUID, key: str | None = None) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {make_token(role, sub)}",
            "Idempotency-Key": key or uuid4().hex,
        }

    return headers
