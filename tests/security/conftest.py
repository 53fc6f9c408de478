"""The five APIs for tests that speak of all of them."""

from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from availability.answers import Answers
from calendar_sync.consumers import HANDLERS
from shared.auth import ServiceTokens
from shared.db import Database
from shared.events.envelope import Event
from shared.events.provider import ProviderUpdated
from shared.ids import new_id
from shared.testing.tokens import AUDIENCE, ISSUER, SERVICE_SECRET, MakeToken

from .apis import SERVICES, Operation, app_of, operations

SERVICES_FOLDER = Path(__file__).parents[2] / "services"

Apps = dict[str, FastAPI]
Shown = Callable[..., list[tuple[str, str]]]


@pytest.fixture(scope="session")
def apps(jwks_file: Path) -> Apps:
    """All APIs, not started: no database, no broker, nothing that listens."""
    values = {
        "database_url": "postgresql://nobody@127.0.0.1:1/nothing",
        "amqp_url": "amqp://nobody@127.0.0.1:1/",
        "auth_issuer": ISSUER,
        "auth_audience": AUDIENCE,
        "auth_jwks": str(jwks_file),
        "service_secret": SERVICE_SECRET,
    }
    apps = {service: app_of(service, values) for service in SERVICES}
    apps["availability"].state.answers = Answers()
    return apps


@pytest.fixture(autouse=True)
def log() -> Iterator[list[MutableMapping[str, Any]]]:
    """What the APIs log meanwhile; printing thousands of refusals would be most of the work."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture(scope="session")
def every_operation(apps: Apps) -> list[Operation]:
    return [each for service, app in apps.items() for each in operations(service, app.openapi())]


@pytest.fixture(scope="session", params=SERVICES)
def service_folder(request: pytest.FixtureRequest) -> Path:
    """A test that asks for a database runs once for each service."""
    return SERVICES_FOLDER / str(request.param)


@pytest.fixture
async def app(service_folder: Path, settings_values: dict[str, Any]) -> AsyncIterator[FastAPI]:
    """One service's API, started, with a database of its own."""
    app = app_of(service_folder.name, settings_values)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def own_operations(service_folder: Path, app: FastAPI) -> list[Operation]:
    """What this API offers."""
    return list(operations(service_folder.name, app.openapi()))


@pytest.fixture
def shown(make_token: MakeToken) -> Shown:
    """``shown(operation, "patient")``: headers with a token that the operation takes."""
    subs = {role: uuid4() for role in ("patient", "provider", "admin")}

    def headers(
        operation: Operation, role: str = "admin", sub: UUID | None = None
    ) -> list[tuple[str, str]]:
        token = (
            ServiceTokens(SERVICE_SECRET, "reservations").token_for(operation.service)
            if operation.caller == "service"
            else make_token(role, sub or subs[role])
        )
        return [("authorization", f"Bearer {token}"), ("content-type", "application/json")]

    return headers


@pytest.fixture
async def provider_id(service_folder: Path, database: Database) -> UUID:
    """A provider; calendar-sync has heard of them."""
    if service_folder.name != "calendar-sync":
        return uuid4()
    known = ProviderUpdated(
        id=uuid4(),
        version=1,
        name="Dr. Eleni Ioannou",
        email=None,
        phone=None,
        language="el",
        timezone="Europe/Athens",
        is_active=True,
        locations=[],
    )
    async with database.transaction() as db:
        event = Event[Any](
            id=new_id(),
            type=known.type,
            source=known.source,
            subject=known.subject,
            sequence=known.sequence,
            time="2026-01-01T00:00:00Z",
            data=known,
        )
        await HANDLERS[ProviderUpdated](db, event)
    return known.id
