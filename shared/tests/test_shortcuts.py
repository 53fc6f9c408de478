"""A route may know its answer before it reads its input; then nothing but the shortcut has run."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import uuid4

import asyncpg
import pytest
from starlette.requests import Request
from starlette.responses import Response

from shared.app import create_app, new_router
from shared.auth import CurrentUser, caller
from shared.checked_route import first_tries
from shared.fields import Whole
from shared.http import AsyncClient
from shared.settings import ServiceSettings
from shared.testing.api import client_of
from shared.testing.tokens import MakeToken

router = new_router()


async def remember(request: Request) -> Response | None:
    if request.headers.get("x-known") is None:
        return None
    await caller(request)
    if request.headers["x-known"] == "until undone":
        raise asyncpg.DeadlockDetectedError
    return Response("from memory")


@router.get("/things")
@first_tries(remember)
async def read_things(number: Annotated[int, Whole(1, 9)], _: CurrentUser) -> str:
    return f"thing {number}"


@pytest.fixture
async def things(
    settings_values: dict[str, Any], make_token: MakeToken
) -> AsyncIterator[AsyncClient]:
    app = create_app(
        ServiceSettings(**settings_values),
        service="shared_tests",
        title="Things",
        description="Things.",
        routers=[router],
    )
    async with client_of(app, token=make_token("patient", uuid4())) as client:
        yield client


async def test_the_shortcut_answers_without_reading_the_input(things: AsyncClient) -> None:
    answer = await things.get("/things?number=none", headers={"X-Known": "yes"})

    assert (answer.status_code, answer.text) == (200, "from memory")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_without_an_answer_the_route_goes_the_long_way(things: AsyncClient) -> None:
    right, wrong = await things.get("/things?number=7"), await things.get("/things?number=10")

    assert (right.status_code, right.json()) == (200, "thing 7")
    assert wrong.status_code == 422


async def test_the_shortcut_may_refuse_like_any_route(things: AsyncClient) -> None:
    headers = {"X-Known": "yes", "Authorization": "Bearer nonsense"}

    answer = await things.get("/things?number=7", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


async def test_what_a_rival_has_undone_is_done_again_the_long_way(things: AsyncClient) -> None:
    answer = await things.get("/things?number=7", headers={"X-Known": "until undone"})

    assert (answer.status_code, answer.json()) == (200, "thing 7")


async def test_the_route_is_described_as_if_there_were_no_shortcut(things: AsyncClient) -> None:
    document = (await things.get("/openapi.json")).json()

    operation = document["paths"]["/things"]["get"]
    assert [each["name"] for each in operation["parameters"]] == ["number"]
    assert operation["security"] == [{"accessToken": []}]
