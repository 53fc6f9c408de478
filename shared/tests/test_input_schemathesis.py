"""What the OpenAPI document says is all that ever happens."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI, Response
from structlog.testing import capture_logs

from shared.app import create_app, new_router
from shared.errors import Conflict
from shared.testing.promises import broken_promises
from shared.testing.tokens import MakeToken
from shared.testing.toy_api import make_toy_api, toy_settings


@pytest.fixture
def headers(make_token: MakeToken) -> dict[str, str]:
    return {"Authorization": f"Bearer {make_token('patient', uuid4())}"}


def test_every_kind_of_input_does_what_the_document_says(
    jwks_file: Path, headers: dict[str, str]
) -> None:
    app = make_toy_api(toy_settings(jwks_file))

    assert broken_promises(app, headers=headers, examples=15) == []
    assert app.state.ever_stored, "no generated visit was good enough to be stored"


class Undocumented(Conflict):
    code = "undocumented"
    title = "Nobody was told"


def app_with(jwks_file: Path, answer: Any) -> FastAPI:
    router = new_router("/v1/odd")

    @router.get("")
    async def be_odd() -> Response:
        if isinstance(answer, Exception):
            raise answer
        return Response(json.dumps(answer), media_type="text/csv")

    return create_app(
        toy_settings(jwks_file), service="odd", title="Odd", description="Odd.", routers=[router]
    )


@pytest.mark.parametrize("answer", [Undocumented(), ValueError("x"), {"no": "such type"}])
def test_the_check_sees_what_is_not_documented(jwks_file: Path, answer: Any) -> None:
    with capture_logs():
        broken = broken_promises(app_with(jwks_file, answer), examples=1)

    assert broken
    assert all("/v1/odd" in each for each in broken)
