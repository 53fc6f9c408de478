"""Addresses: what no route should ever see is refused before routing, for all of them."""

from pathlib import Path

import pytest
from fastapi import FastAPI, Request

from shared.app import new_router
from shared.fields import Count, Name
from shared.testing.raw_http import ask
from shared.testing.toy_api import GOOD_VISIT, assert_refused, make_toy_api, toy_settings

ID = GOOD_VISIT["providerId"]


@pytest.fixture
def app(jwks_file: Path) -> FastAPI:
    return make_toy_api(toy_settings(jwks_file))


@pytest.mark.parametrize(
    ("target", "name", "code"),
    [
        ("/v1/visits/%", "path", "BROKEN_ESCAPE"),
        ("/v1/visits/%4", "path", "BROKEN_ESCAPE"),
        ("/v1/visits/%zz", "path", "BROKEN_ESCAPE"),
        ("/v1/visits/%u0041", "path", "BROKEN_ESCAPE"),
        ("/v1/visits/%00", "path", "FORBIDDEN_CHARACTER"),
        ("/v1/visits/a%0d%0aSet-Cookie:%20x=1", "path", "FORBIDDEN_CHARACTER"),
        ("/v1/visits/%1b[31m", "path", "FORBIDDEN_CHARACTER"),
        ("/v1/visits/%C2%85", "path", "FORBIDDEN_CHARACTER"),
        ("/v1/visits/%FF", "path", "NOT_UTF8"),
        ("/v1/visits/%ED%A0%80", "path", "NOT_UTF8"),
        ("/v1/visits/%C0%AF", "path", "NOT_UTF8"),
        ("/no/such/%00", "path", "FORBIDDEN_CHARACTER"),
        ("/v1/visits?named=%00", "named", "FORBIDDEN_CHARACTER"),
        ("/v1/visits?limit=1&named=a%0Ab", "named", "FORBIDDEN_CHARACTER"),
        ("/v1/visits?named=%FE%FF", "named", "NOT_UTF8"),
        ("/v1/visits?named=100%", "named", "BROKEN_ESCAPE"),
        ("/v1/visits?%00=1", "?", "FORBIDDEN_CHARACTER"),
        ("/healthz?x=%00", "x", "FORBIDDEN_CHARACTER"),
        ("/v1/visits%2f" + ID, "path", "AMBIGUOUS"),
        ("/v1/visits/..%5c" + ID, "path", "AMBIGUOUS"),
        ("/v1/nothing/../visits", "path", "AMBIGUOUS"),
        ("/v1/./visits", "path", "AMBIGUOUS"),
        ("/v1/visits/%2E%2e", "path", "AMBIGUOUS"),
    ],
)
async def test_a_malformed_address_is_refused_on_every_route(
    app: FastAPI, target: str, name: str, code: str
) -> None:
    answer = await ask(app, "GET", target)

    await assert_refused(app, answer, 400, name, code)
    assert answer.json()["code"] == "invalid_url"


@pytest.mark.parametrize(
    ("target", "name", "code"),
    [
        ("/v1/visits?limit=1&limit=2", "limit", "REPEATED"),
        ("/v1/visits?limit=1&limit=1", "limit", "REPEATED"),
        ("/v1/visits?limit=1&l%69mit=1", "limit", "REPEATED"),
        ("/v1/visits?Limit=1", "Limit", "UNKNOWN_FIELD"),
        ("/v1/visits?limit[]=1", "?", "UNKNOWN_FIELD"),
        ("/v1/visits?provider_id=" + ID, "provider_id", "UNKNOWN_FIELD"),
        ("/v1/visits?=1", "?", "UNKNOWN_FIELD"),
        ("/v1/visits?<script>=1", "?", "UNKNOWN_FIELD"),
        (f"/v1/visits/{ID}?verbose=1", "verbose", "UNKNOWN_FIELD"),
    ],
)
async def test_an_unknown_or_repeated_parameter_is_refused_by_name(
    app: FastAPI, target: str, name: str, code: str
) -> None:
    await assert_refused(app, await ask(app, "GET", target), 422, name, code)


@pytest.mark.parametrize("target", ["/v1/visits?", "/v1/visits?&", "/v1/visits?limit=1&"])
async def test_empty_parts_of_a_query_mean_nothing(app: FastAPI, target: str) -> None:
    assert (await ask(app, "GET", target)).status == 200


async def test_single_parameters_are_known_too(jwks_file: Path) -> None:
    router = new_router("/v1/echo")

    @router.get("/{word}")
    async def echo(word: Name, request: Request, times: Count = 1) -> dict[str, str]:
        return {"echo": word * times}

    app = make_toy_api(toy_settings(jwks_file), routers=[router])

    assert (await ask(app, "GET", "/v1/echo/%CE%B1?times=2")).json() == {"echo": "αα"}
    await assert_refused(app, await ask(app, "GET", "/v1/echo/a?time=2"), 422, "time")
    await assert_refused(app, await ask(app, "GET", "/v1/echo/a?times=+2"), 422, "times")
    await assert_refused(app, await ask(app, "GET", "/v1/echo/%E2%80%AE"), 422, "word")


@pytest.mark.parametrize("path", ["/v1/visits/", "/v1//visits", "//v1/visits", "/v1/...", "/"])
async def test_an_address_that_is_nearly_right_is_not_found(app: FastAPI, path: str) -> None:
    await assert_refused(app, await ask(app, "GET", path), 404)
