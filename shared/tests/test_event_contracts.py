"""The event contracts: documented as they are, and never changed once they are released."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from shared.events.asyncapi import document
from shared.events.registry import EVENT_TYPES
from shared.ids import new_id
from shared.messaging.wire import decode, encode
from shared.testing.contracts import breaking_changes

DOCS = Path(__file__).parents[2] / "docs"
NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)

Json = dict[str, Any]
Change = Callable[[Json], object]


@pytest.fixture(scope="module")
def current() -> Json:
    return document()


def test_the_document_in_docs_is_up_to_date(current: Json) -> None:
    in_docs = json.loads((DOCS / "asyncapi.json").read_text())

    assert in_docs == current, "python -m shared.events.asyncapi > docs/asyncapi.json"


def test_every_released_event_is_still_what_it_was(current: Json) -> None:
    released = json.loads((DOCS / "asyncapi.released.json").read_text())

    assert breaking_changes(released, current) == []


# --- what counts as breaking a promise -------------------------------------------------------


def booked(document: Json) -> Json:
    schema: Json = document["components"]["schemas"]["BookingConfirmed"]
    return schema


def rename(document: Json) -> None:
    fields = booked(document)["properties"]
    fields["begin"] = fields.pop("start")


def require(document: Json, name: str) -> None:
    booked(document)["required"].append(name)


def add_field(document: Json, name: str = "colour") -> None:
    booked(document)["properties"][name] = {"type": "string"}


BREAKING: dict[str, Change] = {
    "an event is gone": lambda now: now["components"]["messages"].pop("booking.confirmed"),
    "another service sends it": lambda now: now["components"]["messages"]["booking.confirmed"][
        "payload"
    ]["allOf"][1]["properties"].update(source={"const": "/reservations"}),
    "it goes to another exchange": lambda now: now["channels"]["booking.confirmed"]["bindings"][
        "amqp"
    ]["exchange"].update(name="other"),
    "a field is gone": lambda now: booked(now)["properties"].pop("end"),
    "a field has another name": rename,
    "a field has another type": lambda now: booked(now)["properties"].update(
        priceCents={"type": "string"}
    ),
    "a field has another format": lambda now: booked(now)["properties"]["start"].pop("format"),
    "a value is no longer allowed": lambda now: booked(now)["properties"]["mode"]["enum"].pop(),
    "a value is newly allowed": lambda now: booked(now)["properties"]["mode"]["enum"].append("fax"),
    "null is no longer allowed": lambda now: booked(now)["properties"]["roomId"]["anyOf"].pop(),
    "null is newly allowed": lambda now: booked(now)["properties"].update(
        currency={"anyOf": [{"type": "string"}, {"type": "null"}]}
    ),
    "a limit appears": lambda now: booked(now)["properties"]["currency"].update(maxLength=3),
    "a field may now be missing": lambda now: booked(now)["required"].remove("end"),
    "a new field is required": lambda now: (add_field(now), require(now, "colour")),
    "a field of a part is gone": lambda now: now["components"]["schemas"]["Claim"][
        "properties"
    ].pop("kind"),
    "a field of the envelope is gone": lambda now: now["components"]["schemas"]["CloudEvent"][
        "properties"
    ].pop("sequence"),
}

HARMLESS: dict[str, Change] = {
    "nothing": lambda _: None,
    "a new optional field": add_field,
    "a new optional field of a part": lambda now: now["components"]["schemas"]["Claim"][
        "properties"
    ].update(colour={"type": "string"}),
    "a new event": lambda now: (
        now["components"]["messages"].update(
            {"booking.praised": now["components"]["messages"]["booking.confirmed"]}
        ),
        now["channels"].update({"booking.praised": now["channels"]["booking.confirmed"]}),
    ),
    "other words": lambda now: booked(now)["properties"]["start"].update(description="When."),
    "another order of values": lambda now: booked(now)["properties"]["mode"]["enum"].reverse(),
}


@pytest.mark.parametrize("change", BREAKING.values(), ids=BREAKING)
def test_a_change_that_breaks_a_promise_is_noticed(current: Json, change: Change) -> None:
    changed = deepcopy(current)

    change(changed)

    assert breaking_changes(current, changed)


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_a_harmless_change_is_allowed(current: Json, change: Change) -> None:
    changed = deepcopy(current)

    change(changed)

    assert breaking_changes(current, changed) == []


def test_an_optional_field_that_was_released_cannot_become_required(current: Json) -> None:
    released = deepcopy(current)
    add_field(released)
    changed = deepcopy(released)

    require(changed, "colour")

    assert breaking_changes(released, changed)


# --- the document says what is really sent ---------------------------------------------------


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_a_message_is_what_the_document_says(current: Json, event_type: str) -> None:
    event = EVENT_TYPES[event_type]
    data = event.model_validate(sample(current, {"$ref": f"#/components/schemas/{event.__name__}"}))

    body = sent(event_type, data.model_dump_json(by_alias=True))

    checked_by(current, event_type).validate(orjson.loads(body))
    assert decode(body).data == data


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_fields_of_tomorrow_are_read_over(current: Json, event_type: str) -> None:
    event = EVENT_TYPES[event_type]
    data = sample(current, {"$ref": f"#/components/schemas/{event.__name__}"})

    body = sent(event_type, json.dumps(with_more_fields(data)))

    assert decode(body).data == event.model_validate(data)


def test_every_reference_leads_somewhere(current: Json) -> None:
    for reference in references(current):
        assert resolved(current, reference) is not None


def sent(event_type: str, data: str) -> bytes:
    row = {
        "id": new_id(),
        "type": event_type,
        "subject": str(new_id()),
        "sequence": 1,
        "occurred_at": NOW,
        "traceparent": None,
        "data": data,
    }
    return encode(row, EVENT_TYPES[event_type].source)


def checked_by(current: Json, event_type: str) -> jsonschema.Draft202012Validator:
    payload = current["components"]["messages"][event_type]["payload"]
    return jsonschema.Draft202012Validator(payload | {"components": current["components"]})


def sample(current: Json, schema: Json) -> Any:
    """The plainest value that fits the schema."""
    if "$ref" in schema:
        schema = resolved(current, schema["$ref"])
    if "anyOf" in schema:
        return sample(current, schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    match schema["type"], schema.get("format"):
        case "object", _:
            fields = schema.get("properties", {})
            return {name: sample(current, field) for name, field in fields.items()}
        case "array", _:
            return [sample(current, schema["items"])]
        case "string", "uuid":
            return str(new_id())
        case "string", "date-time":
            return "2026-05-04T09:00:00Z"
        case "string", _:
            return "text"
        case "integer", _:
            return 1
        case "number", _:
            return 1.5
        case "boolean", _:
            return True
    raise AssertionError(f"no sample for {schema}")


def with_more_fields(value: Any) -> Any:
    if isinstance(value, dict):
        inner = {name: with_more_fields(field) for name, field in value.items()}
        return inner | {"ofTomorrow": {"more": [1]}}
    if isinstance(value, list):
        return [with_more_fields(each) for each in value]
    return value


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def resolved(current: Json, reference: str) -> Any:
    target: Any = current
    for step in reference.removeprefix("#/").split("/"):
        target = target[step]
    return target
