"""Every field of every operation, with everything that somebody hostile would try (all lines).

Expected always: a refusal that names the field, or success, and the next request is fine.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI

from shared.testing.raw_http import RawAnswer, ask

from .apis import KEY, Field, Operation, encoded, fields, with_value
from .conftest import Shown

NUMBERS: list[Any] = [-1, 0, 0.5, True, -(2**31) - 1, 2**63, 10**400, "@1e400@", float("nan"), "7"]
ANYWHERE = ["", "\0", "\ud800", "x" * 10_001, "'; DROP TABLE appointments; --", "24:00"]
TEXTS = [
    " ",
    "\u202eright to left",
    "zero\u200bwidth\u2060\ufeff",
    "a" + "\u0301" * 1_000,
    "Ω" * 2_049,
    "x\r\nBcc: everybody@example.com",
    "{{7*7}}{% for x in range(10**9) %}x{% endfor %}",
    "${jndi:ldap://127.0.0.1/a}",
    "<script>alert(1)</script>",
    "a;ATTENDEE:mailto:x@example.com\nEND:VEVENT\nBEGIN:VEVENT",
    "FREQ=SECONDLY;COUNT=999999999",
    "../../etc/passwd",
    "Europe",
    "Mars/Base",
    "posixrules",
    "0000-00-00",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-06-30T23:59:60Z",
    "2026-01-01T24:00:00Z",
    "2026-02-30",
    "1767225600",
    "2026-03-29T03:30:00",  # in the gap of Athens
    "2026-10-04T02:15:00+10:30",  # of Lord Howe
    "2026-03-22T02:30:00+01:00",  # of Casablanca
    "2011-12-30T12:00:00-10:00",  # a day that Apia never had
    "23:59:60",
    "-00:30",
    "PT-30M",
    "0192f0c1-7d5e-7cc3-98c4-dc0c0c07398f",
    "http://169.254.169.254/latest/meta-data/",
    "https://[::ffff:127.0.0.1]/",
    "javascript:alert(1)",
    "١٢٣",
]
SHAPES: list[Any] = [None, [], {}, [[]], {"$ne": 1}, ["x"] * 2_000, {"__proto__": {"a": 1}}]
WHOLE = [
    b"[]",
    b"1",
    b'"text"',
    b"{",
    b"\xff\xfe",
    b"[" * 900 + b"]" * 900,
    b'{"a":' * 900 + b"1" + b"}" * 900,
    json.dumps({f"f{number}": number for number in range(20_000)}).encode(),
]
IN_PATHS = ["\0", "x" * 10_001, "';--", "../../etc/passwd", "{{7*7}}", "x\r\nA: b", "\u202e"]
IN_QUERIES = [*IN_PATHS, "-1", str(2**63), *(text for text in TEXTS if text.isascii())]


async def send(app: FastAPI, operation: Operation, shown: Shown, body: Any) -> RawAnswer:
    raw = body if isinstance(body, bytes) else encoded(body)
    return await ask(app, operation.method, operation.target(), body=raw, headers=shown(operation))


def fault_of(answer: RawAnswer, place: str) -> str | None:
    """What is wrong with this answer to a bad value at ``place``; None when nothing is."""
    if answer.status < 400:
        return None
    if answer.status >= 500:
        return f"{answer.status} {answer.body[:300]!r}"
    if answer.headers["content-type"] != "application/problem+json":
        return "no problem document"
    problem = answer.json()
    if answer.status not in (400, 422):
        return None
    if place == KEY and problem["code"].startswith("idempotency_key_"):
        return None
    paths = [each["path"] for each in problem.get("errors", ())]
    if any(place.startswith(path) or path.startswith(place) for path in paths):
        return None
    return f"{answer.status} {problem['code']} names {paths}"


def values_for(field: Field) -> Iterator[Any]:
    yield from NUMBERS
    yield from SHAPES
    yield from ANYWHERE
    is_text = field.schema.get("type") == "string" and "enum" not in field.schema
    if is_text and field.schema.get("format") != "uuid":
        yield from TEXTS


async def test_a_sample_of_each_body_is_understood(
    app: FastAPI, own_operations: list[Operation], shown: Shown
) -> None:
    """Or the tests below would try fields of requests that are refused for another reason."""
    refused = {}

    for operation in own_operations:
        if operation.body_schema is not None:
            answer = await send(app, operation, shown, operation.body())
            if answer.status in (400, 415, 422) or answer.status >= 500:
                refused[str(operation)] = answer.json().get("errors", answer.body)

    assert refused == {}


async def test_no_value_of_any_field_breaks_anything(
    app: FastAPI, own_operations: list[Operation], shown: Shown
) -> None:
    faults = []
    tried = set()

    for operation in own_operations:
        schema = operation.body_schema
        if schema is None:
            continue
        for field in fields(schema, operation.document):
            name = str(field)
            known = (field.place[-1], repr(field.schema))
            if known in tried:  # elsewhere, by the same rules
                continue
            tried.add(known)
            for value in values_for(field):
                body = operation.body()
                hostile = with_value(body, field.place, value, schema, operation.document)
                answer = await send(app, operation, shown, hostile)
                if fault := fault_of(answer, name):
                    faults.append(f"{operation}, {name}, {value!r:.60}: {fault}")
        answer = await send(app, operation, shown, operation.body())
        if answer.status >= 500:
            faults.append(f"{operation} afterwards: {answer.status}")

    assert faults == []


async def test_no_body_as_a_whole_breaks_anything(
    app: FastAPI, own_operations: list[Operation], shown: Shown
) -> None:
    faults = []

    for operation in own_operations:
        schema = operation.body_schema
        if schema is None:
            continue
        good = encoded(operation.body())
        twice = b'{"a":1,"a":2,' + good.lstrip(b"{") if good != b"{}" else b'{"a":1,"a":2}'
        for body in (*WHOLE, good + b"}", good.decode().encode("utf-16"), twice):
            answer = await send(app, operation, shown, body)
            if not 400 <= answer.status < 500:
                faults.append(f"{operation}, {body[:40]!r}: {answer.status}")

    assert faults == []


async def test_no_parameter_breaks_anything(
    app: FastAPI, own_operations: list[Operation], shown: Shown
) -> None:
    faults = []

    for operation in own_operations:
        targets = [
            (name, operation.target(**{name: quote(value, safe="")}))
            for where, values in (("path", IN_PATHS), ("query", IN_QUERIES))
            for name in operation.parameters(where)
            for value in values
        ]
        for name, target in targets:
            answer = await ask(app, operation.method, target, headers=shown(operation))
            if answer.status >= 500:
                faults.append(f"{operation}, {name}, {target:.90}: {answer.status}")

    assert faults == []
