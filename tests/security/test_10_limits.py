"""Line 10: nothing that a client sends, asks for or keeps open is without an end.

Rates, sizes and slow clients at the gateway: deploy/local/tests/test_gateway_limits.py.
"""

from collections.abc import Iterator

from shared.testing.raw_http import ask

from .apis import Json, Operation, fields, resolved
from .conftest import Apps, Shown

MOST_IN_A_LIST = 100
OF_ONE_LENGTH = ("uuid", "date", "date-time")
MOST_BYTES = 256 * 1024
MOST_BYTES_OF = {
    "POST /v1/providers/{providerId}/calendar-import": 2 * 2**20,
    "POST /v1/providers/{providerId}/schedule/preview": 2**20,
    "POST /v1/providers/{providerId}/schedule/rules/bulk_upsert": 2**20,
}


def test_every_field_has_an_end(every_operation: list[Operation]) -> None:
    endless = [
        f"{operation}: {field}"
        for operation in every_operation
        if operation.body_schema is not None
        for field in fields(operation.body_schema, operation.document)
        if not is_bounded(field.schema)
    ]

    assert endless == []


def test_every_parameter_has_an_end(every_operation: list[Operation]) -> None:
    endless = [
        f"{operation}: {name}"
        for operation in every_operation
        # Other people's headers have the end that the gateway and the server give to all headers.
        for where in ("path", "query", "header" if operation.caller != "nobody" else "")
        for name, each in operation.parameters(where).items()
        if not is_bounded(resolved(each["schema"], operation.document))
    ]

    assert endless == []


def is_bounded(schema: Json) -> bool:
    if "enum" in schema or "const" in schema:
        return True
    match schema.get("type"):
        case "string":
            pattern = schema.get("pattern", "*")
            has_length = pattern[0] == "^" and pattern[-1] == "$" and not set("*+") & set(pattern)
            return has_length or "maxLength" in schema or schema.get("format") in OF_ONE_LENGTH
        case "integer" | "number":
            return {"maximum", "exclusiveMaximum"} & schema.keys() and bool(
                {"minimum", "exclusiveMinimum"} & schema.keys()
            )
        case "array":
            return "maxItems" in schema
        case "object":
            return schema.get("additionalProperties") is False or "maxProperties" in schema
        case kind:
            return kind == "boolean"


def test_a_list_is_given_in_pages(every_operation: list[Operation]) -> None:
    limits = {
        str(operation): parameter["schema"]["maximum"]
        for operation in every_operation
        for name, parameter in operation.parameters("query").items()
        if name == "limit"
    }

    assert limits
    assert {name: most for name, most in limits.items() if most > MOST_IN_A_LIST} == {}


async def test_a_body_that_is_too_large_is_not_read(
    apps: Apps, every_operation: list[Operation], shown: Shown
) -> None:
    read = []

    for operation in every_operation:
        if operation.body_schema is None or operation.caller == "nobody":
            continue
        most = MOST_BYTES_OF.get(str(operation), MOST_BYTES)
        parts = PartsRead(most)
        answer = await ask(
            apps[operation.service],
            operation.method,
            operation.target(),
            body=parts,
            headers=shown(operation),
        )
        if answer.status != 413 or answer.json()["code"] != "body_too_large":
            read.append(f"{operation}: {answer.status}")

    assert read == []


class PartsRead:
    """A body that announces no length and is one byte too long."""

    def __init__(self, most: int) -> None:
        self._most = most

    def __iter__(self) -> Iterator[bytes]:
        yield b" " * self._most
        yield b" "
