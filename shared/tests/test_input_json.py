"""Bodies: only JSON that every reader understands in the same way, and never too much of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

from shared.app import new_router
from shared.checked_route import reads_up_to
from shared.json_body import MOST_BYTES, MOST_VALUES, InvalidJson, parse_json
from shared.testing.raw_http import ask
from shared.testing.toy_api import GOOD_VISIT, assert_refused, book, make_toy_api, toy_settings

GOOD = json.dumps(GOOD_VISIT)


@pytest.fixture
def app(jwks_file: Path) -> FastAPI:
    return make_toy_api(toy_settings(jwks_file))


def with_field(text: str) -> bytes:
    return (GOOD[:-1] + ", " + text + "}").encode()


MALFORMED = {
    "nothing but space": (b"  ", "", "SYNTAX"),
    "half an object": (b'{"name": ', "", "SYNTAX"),
    "two values": (b"{} {}", "", "SYNTAX"),
    "comment": (b'{"name": "a" /* b */}', "", "SYNTAX"),
    "single quotes": (b"{'name': 'a'}", "", "SYNTAX"),
    "trailing comma": (b'{"name": "a",}', "", "SYNTAX"),
    "raw control character": (b'{"name": "a\nb"}', "", "SYNTAX"),
    "raw NUL": (b'{"name": "a\0b"}', "", "SYNTAX"),
    "byte order mark": (b"\xef\xbb\xbf{}", "", "SYNTAX"),
    "UTF-16": (GOOD.encode("utf-16"), "", "NOT_UTF8"),
    "UTF-16 without a mark": (GOOD.encode("utf-16-le"), "", "SYNTAX"),
    "UTF-32": (GOOD.encode("utf-32"), "", "NOT_UTF8"),
    "Latin-1": (b'{"name": "\xe9"}', "", "NOT_UTF8"),
    "surrogate as UTF-8": (b'{"name": "\xed\xa0\x80"}', "", "NOT_UTF8"),
    "overlong UTF-8": (b'{"name": "\xc0\x80"}', "", "NOT_UTF8"),
    "lone surrogate": (with_field(r'"title": "\ud800"'), "title", "FORBIDDEN_CHARACTER"),
    "reversed surrogates": (with_field(r'"title": "\udc00\ud800"'), "title", "FORBIDDEN_CHARACTER"),
    "lone surrogate in a name": (with_field(r'"\udfff": 1'), "", "FORBIDDEN_CHARACTER"),
    "escaped NUL": (with_field(r'"reason": "a\u0000b"'), "reason", "FORBIDDEN_CHARACTER"),
    "NUL in a field that does not exist": (with_field(r'"x": "\u0000"'), "x", None),
    "NaN": (with_field('"guests": NaN'), "guests", "NOT_FINITE"),
    "NaN in a field that does not exist": (with_field('"x": NaN'), "x", "NOT_FINITE"),
    "Infinity": (with_field('"guests": Infinity'), "guests", "NOT_FINITE"),
    "-Infinity": (with_field('"guests": -Infinity'), "guests", "NOT_FINITE"),
    "1e400": (with_field('"guests": 1e400'), "guests", "NOT_FINITE"),
    "2**63": (with_field(f'"guests": {2**63}'), "guests", "NUMBER_TOO_LARGE"),
    "-2**63-1": (with_field(f'"guests": {-(2**63) - 1}'), "guests", "NUMBER_TOO_LARGE"),
    "5,000 digits": (with_field(f'"guests": {"9" * 5000}'), "", "NUMBER_TOO_LARGE"),
    "name twice": (with_field('"name": "Eve"'), "name", "NAME_TWICE"),
    "name twice, once escaped": (with_field(r'"n\u0061me": "Eve"'), "name", "NAME_TWICE"),
    "name twice, deep inside": (
        with_field('"windows": [{}, {"startLocal": "08:00", "startLocal": "09:00"}]'),
        "windows.1.startLocal",
        "NAME_TWICE",
    ),
    "33 levels": (b"[" * 33 + b"]" * 33, ".".join("0" * 32), "TOO_DEEP"),
    "900 levels": (b"[" * 900 + b"]" * 900, None, "TOO_DEEP"),
    "100,000 levels": (b"[" * 100_000, "", "TOO_DEEP"),
    "900 levels of objects": (b'{"a":' * 900 + b"1" + b"}" * 900, None, "TOO_DEEP"),
    "too many values": (
        json.dumps({"windows": [0] * MOST_VALUES}).encode(),
        "",
        "TOO_MANY_VALUES",
    ),
    "very long name": (with_field(f'"{"x" * 129}": 1'), "", "NAME_TOO_LONG"),
}


@pytest.mark.parametrize(("body", "path", "code"), MALFORMED.values(), ids=MALFORMED)
async def test_malformed_json_is_refused_at_its_place(
    app: FastAPI, body: bytes, path: str | None, code: str | None
) -> None:
    answer = await book(app, body)

    await assert_refused(app, answer, 400, path, code)
    assert answer.json()["code"] == "invalid_json"


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        " [1, 2.5, true, null] ",
        '"\\ud83d\\ude00 and \\u00e9"',
        str(2**63 - 1),
        str(-(2**63)),
        "[" * 32 + "]" * 32,
        '{"a": {"a": {"a": 1}}, "b": [{"a": 1}, {"a": 1}]}',
    ],
)
def test_good_json_is_what_it_always_was(text: str) -> None:
    assert parse_json(text.encode()) == json.loads(text)


def test_a_place_shows_no_name_that_the_client_made_up() -> None:
    with pytest.raises(InvalidJson) as caught:
        parse_json(b'{"<script>": {"ok": [NaN]}}')

    assert caught.value.errors[0].path == "?.ok.0"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("content-type", "")],
        [("content-type", "text/plain")],
        [("content-type", "text/json")],
        [("content-type", "application/x-www-form-urlencoded")],
        [("content-type", "multipart/form-data; boundary=x")],
        [("content-type", "application/json; charset=utf-16")],
        [("content-type", "application/json; charset=latin-1")],
        [("content-type", "application/json; boundary=x")],
        [("content-type", "application/json"), ("content-type", "text/plain")],
        [("content-type", "application/jsonx")],
        [("content-type", "application/json"), ("content-encoding", "gzip")],
        [("content-type", "application/json"), ("content-encoding", "identity, br")],
    ],
)
async def test_another_media_type_or_encoding_is_refused(
    app: FastAPI, headers: list[tuple[str, str]]
) -> None:
    answer = await ask(app, "POST", "/v1/visits", body=GOOD.encode(), headers=headers)

    await assert_refused(app, answer, 415)


@pytest.mark.parametrize(
    "headers",
    [
        [("content-type", "application/json; charset=utf-8")],
        [("content-type", 'Application/JSON;charset="UTF-8"')],
        [("content-type", "application/merge-patch+json")],
        [("content-type", "application/json"), ("content-encoding", "identity")],
    ],
)
async def test_json_under_its_other_names_is_read(
    app: FastAPI, headers: list[tuple[str, str]]
) -> None:
    answer = await ask(app, "POST", "/v1/visits", body=GOOD.encode(), headers=headers)

    assert answer.status == 201


async def test_a_missing_body_is_named(app: FastAPI) -> None:
    answer = await ask(app, "POST", "/v1/visits", headers=())

    await assert_refused(app, answer, 422, "", "REQUIRED")


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"7", b"true"])
async def test_a_body_that_is_no_object_is_refused(app: FastAPI, body: bytes) -> None:
    await assert_refused(app, await book(app, body), 422, "", "NOT_AN_OBJECT")


def padded(size: int) -> bytes:
    return GOOD.encode().ljust(size)


async def test_a_body_of_the_greatest_size_is_read(app: FastAPI) -> None:
    assert (await book(app, padded(MOST_BYTES))).status == 201


@pytest.mark.parametrize("announced", [None, "0", "10", "-1", "abc", "9" * 5000])
async def test_a_body_that_is_too_large_is_refused_whatever_it_announces(
    app: FastAPI, announced: str | None
) -> None:
    headers = [("content-type", "application/json")]
    if announced is not None:
        headers.append(("content-length", announced))

    answer = await ask(app, "POST", "/v1/visits", body=[padded(MOST_BYTES), b" "], headers=headers)

    await assert_refused(app, answer, 413)


async def test_a_body_announced_as_too_large_is_not_even_read(app: FastAPI) -> None:
    headers = [("content-type", "application/json"), ("content-length", str(MOST_BYTES + 1))]

    answer = await ask(app, "POST", "/v1/visits", body=[GOOD.encode()], headers=headers)

    await assert_refused(app, answer, 413)


async def test_a_route_may_have_its_own_limit(jwks_file: Path) -> None:
    router = new_router("/v1/files")

    @router.post("")
    @reads_up_to(500)
    async def take(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    app = make_toy_api(toy_settings(jwks_file), routers=[router])

    fits = await ask(app, "POST", "/v1/files", body=b"x" * 500)
    too_large = await ask(app, "POST", "/v1/files", body=b"x" * 501)

    assert fits.status == 200
    await assert_refused(app, too_large, 413)
    assert (await book(app, padded(501))).status == 201


async def test_a_route_may_have_its_own_limit_of_values(jwks_file: Path) -> None:
    router = new_router("/v1/files")

    @router.post("")
    @reads_up_to(500, most_values=10)
    async def take(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.json())))

    app = make_toy_api(toy_settings(jwks_file), routers=[router])

    fits = await ask(app, "POST", "/v1/files", body=json.dumps([0] * 9).encode())
    too_many = await ask(app, "POST", "/v1/files", body=json.dumps([0] * 10).encode())

    assert fits.body == b"9"
    await assert_refused(app, too_many, 400, "", "TOO_MANY_VALUES")


async def test_a_route_that_reads_the_body_itself_is_limited_too(jwks_file: Path) -> None:
    router = new_router("/v1/hooks")

    @router.post("")
    async def hear(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    @router.post("/json")
    async def hear_json(request: Request) -> dict[str, Any]:
        return {"heard": await request.json()}

    app = make_toy_api(toy_settings(jwks_file), routers=[router])
    form = [("content-type", "application/x-www-form-urlencoded")]

    heard = await ask(app, "POST", "/v1/hooks", body=b"a=b", headers=form)
    too_large = await ask(app, "POST", "/v1/hooks", body=b"x" * (MOST_BYTES + 1), headers=form)
    twice = await ask(app, "POST", "/v1/hooks/json", body=b'{"a": 1, "a": 2}')

    assert heard.body == b"3"
    await assert_refused(app, too_large, 413)
    await assert_refused(app, twice, 400, "a", "NAME_TWICE")
