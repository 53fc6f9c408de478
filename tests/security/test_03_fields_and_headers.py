"""Line 3: nobody sets what is not theirs to set, neither in a body nor in a header."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from fastapi import FastAPI

from shared.testing.raw_http import RawAnswer, ask

from .apis import Json, Operation, encoded, resolved
from .conftest import Shown

NOT_THE_CALLERS = {
    "status": "confirmed",
    "id": str(uuid4()),
    "version": 1,
    "role": "admin",
    "priceCents": 1,
    "patientId": str(uuid4()),
    "createdBy": str(uuid4()),
    "createdAt": "2026-01-01T00:00:00Z",
    "isAdmin": True,
    "user_id": str(uuid4()),
}
# What proxies and other systems say about the caller; here only the token does.
SAYING_WHO = [
    (name, value)
    for value in ("admin", str(uuid4()))
    for name in (
        "x-user-id",
        "x-user-role",
        "x-user",
        "x-role",
        "x-roles",
        "x-sub",
        "x-forwarded-user",
        "x-auth-request-user",
        "x-remote-user",
        "remote-user",
        "x-service",
        "x-internal",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "cookie",
    )
]


async def test_fields_that_are_not_the_callers_are_refused(
    app: FastAPI, own_operations: list[Operation], shown: Shown
) -> None:
    taken = []

    for operation in own_operations:
        body = operation.body()
        if not isinstance(body, dict):
            continue
        for place, properties in objects(operation.body_schema, body, operation.document):
            unknown = {k: v for k, v in NOT_THE_CALLERS.items() if k not in properties}
            expected = {".".join(map(str, (*place, name))) for name in unknown}
            answers = [
                await ask(
                    app,
                    operation.method,
                    operation.target(),
                    body=encoded(put(body, place, unknown)),
                    headers=shown(operation, role),
                )
                for role in ("patient", "admin")
            ]
            refusals = [each for each in answers if each.status == 422]
            if {each.status for each in answers} - {422, 403, 404} or not refusals:
                taken.append(f"{operation}: {[each.status for each in answers]}")
            for refusal in refusals:
                if lacking := expected - {each["path"] for each in refusal.json()["errors"]}:
                    taken.append(f"{operation}: does not name {lacking}")

    assert taken == []


def objects(schema: Any, body: Any, document: Json) -> Iterator[tuple[tuple[Any, ...], Json]]:
    """Every object that the body holds, with the fields that it may have."""
    schema = resolved(schema, document)
    if isinstance(body, dict) and schema.get("additionalProperties") is not True:
        properties = schema.get("properties", {})
        yield (), properties
        for name, value in body.items():
            for place, inner in objects(properties[name], value, document):
                yield (name, *place), inner
    elif isinstance(body, list) and body:
        for place, inner in objects(schema["items"], body[0], document):
            yield (0, *place), inner


def put(body: Any, place: tuple[Any, ...], more: Json) -> Any:
    if not place:
        return body | more
    step, *rest = place
    if isinstance(step, int):
        return [put(body[0], tuple(rest), more)]
    return body | {step: put(body[step], tuple(rest), more)}


async def test_an_unknown_query_parameter_is_refused(
    app: FastAPI, own_operations: list[Operation], shown: Shown
) -> None:
    taken = []

    for operation in own_operations:
        if operation.caller == "nobody":
            continue  # other people's systems add what they like to the addresses that they call
        target = operation.target()
        target += f"{'&' if '?' in target else '?'}role=admin"
        answer = await ask(app, operation.method, target, headers=shown(operation))
        if answer.status != 422 or "role" not in [e["path"] for e in answer.json()["errors"]]:
            taken.append(f"{operation}: {answer.status}")

    assert taken == []


def code_of(answer: RawAnswer) -> str | None:
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    return answer.json()["code"] if is_problem else None


async def test_headers_say_nothing_about_who_calls(
    app: FastAPI, own_operations: list[Operation], shown: Shown
) -> None:
    differing = []

    for operation in own_operations:
        if operation.caller != "user":
            continue
        target, body = operation.target(), encoded(operation.body())
        plain = shown(operation, "patient")
        more = [*plain, *SAYING_WHO]
        answers = [
            await ask(app, operation.method, target, body=body, headers=headers)
            for headers in (plain, more)
        ]
        problems = [code_of(each) for each in answers]
        if answers[0].status != answers[1].status or problems[0] != problems[1]:
            differing.append(f"{operation}: {[each.status for each in answers]} {problems}")
        nobody = await ask(
            app, operation.method, target, body=body, headers=[*plain[1:], *SAYING_WHO]
        )
        if nobody.status != 401:
            differing.append(f"{operation}: {nobody.status} without a token")

    assert differing == []
