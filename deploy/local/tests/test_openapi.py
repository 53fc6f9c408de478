"""docs/openapi.json: all that the gateway lets through, as it is, and as it was released."""

import json
import re
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from openapi_spec_validator import validate

from local.folder import CHECKOUT
from local.gateway import TEMPLATE
from local.openapi import apps, merged, operations_of, service_behind
from shared.problems import MEDIA_TYPE
from shared.testing.http_contracts import breaking_changes

DOCS = CHECKOUT / "docs"
INSIDE = ("/internal/", "/apps/", "/healthz", "/readyz", "/metrics")
"""What services offer to each other and to operators, past the gateway."""

Json = dict[str, Any]
Change = Callable[[Json], object]


@pytest.fixture(scope="module")
def documents() -> dict[str, Json]:
    return {service: app.openapi() for service, app in apps().items()}


@pytest.fixture(scope="module")
def current(documents: dict[str, Json]) -> Json:
    return merged(documents)


def test_the_document_in_docs_is_up_to_date(current: Json) -> None:
    in_docs = json.loads((DOCS / "openapi.json").read_text())

    assert in_docs == json.loads(json.dumps(current)), "make openapi"


def test_every_released_operation_is_still_what_it_was(current: Json) -> None:
    released = json.loads((DOCS / "openapi.released.json").read_text())

    assert breaking_changes(released, current) == []


def test_it_is_an_openapi_document(current: Json) -> None:
    validate(current)


def test_the_gateway_leads_each_path_to_the_service_that_has_it(
    documents: dict[str, Json], current: Json
) -> None:
    for service, document in documents.items():
        for path in document["paths"]:
            inside = path.startswith(INSIDE)
            assert service_behind(path) == (None if inside else service), path
            assert (path in current["paths"]) is not inside, path


def test_no_operation_is_lost(documents: dict[str, Json], current: Json) -> None:
    offered = {
        (path, operation["operationId"])
        for document in documents.values()
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if not path.startswith(INSIDE)
    }

    assert offered == {
        (path, operation["operationId"])
        for path, operations in current["paths"].items()
        for operation in operations.values()
    }


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does(current: Json) -> None:
    names = Counter(operation["operationId"] for operation in operations_of(current))

    assert [name for name, uses in names.items() if uses > 1] == []
    for operation in operations_of(current):
        told = operation["operationId"]
        assert operation["summary"], told
        assert operation["description"], told
        assert len(operation["tags"]) == 1, told


def test_every_operation_shows_what_it_refuses(current: Json) -> None:
    for operation in operations_of(current):
        refusals = {
            status: resolved(current, response)["content"]
            for status, response in operation["responses"].items()
            if status >= "400" and "content" in resolved(current, response)
        }
        assert {"422", "429", "500", "503"} <= refusals.keys(), operation["operationId"]
        for content in refusals.values():
            for code, example in content.get(MEDIA_TYPE, {"examples": {}})["examples"].items():
                assert resolved(current, example)["value"]["code"] == code


def test_one_code_has_one_status(documents: dict[str, Json]) -> None:
    statuses: dict[str, set[str]] = {}
    for document in documents.values():
        for operation in operations_of(document):
            for status, response in operation["responses"].items():
                content = response.get("content", {}).get(MEDIA_TYPE, {"examples": {}})
                for code in content["examples"]:
                    statuses.setdefault(code, set()).add(status)

    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


def test_the_page_of_refusals_names_every_code_with_its_status(current: Json) -> None:
    page = (DOCS / "errors.md").read_text()
    told = dict(re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \| \S.*\|$", page, re.MULTILINE))

    answered = {
        code: str(example["value"]["status"])
        for code, example in current["components"]["examples"].items()
    }
    by_gateway = re.findall(r'"status":(\d+),.*?"code":"([a-z_]+)"', TEMPLATE.read_text())
    assert told == answered | {code: status for status, code in by_gateway}


def test_a_name_that_two_services_use_differently_gets_the_services_before_it(
    current: Json,
) -> None:
    schemas = current["components"]["schemas"]

    assert "PreviewOut" not in schemas
    assert {"AvailabilityPreviewOut", "NotificationsPreviewOut", "Problem"} <= schemas.keys()


def test_every_tag_belongs_to_one_service(current: Json) -> None:
    grouped = [tag for group in current["x-tagGroups"] for tag in group["tags"]]

    assert grouped == [tag["name"] for tag in current["tags"]]
    assert set(grouped) == {op["tags"][0] for op in operations_of(current)}
    assert len(grouped) == len(set(grouped))


# --- what counts as breaking a promise -------------------------------------------------------


def resolved(document: Json, value: Json) -> Json:
    if "$ref" not in value:
        return value
    target: Any = document
    for step in value["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    found: Json = target
    return found


def schema(now: Json, name: str) -> Json:
    found: Json = now["components"]["schemas"][name]
    return found


def rename(now: Json) -> None:
    fields = schema(now, "AppointmentOut")["properties"]
    fields["begin"] = fields.pop("start")


def of(now: Json, method: str, path: str) -> Json:
    operation: Json = now["paths"][path][method]
    return operation


LIST = "/v1/users/{userId}/appointments"
BREAKING: dict[str, Change] = {
    "a path is gone": lambda now: now["paths"].pop("/v1/bookings"),
    "a method is gone": lambda now: now["paths"]["/v1/providers"].pop("get"),
    "a field of an answer has another name": rename,
    "a field of an answer is gone": lambda now: schema(now, "AppointmentOut")["properties"].pop(
        "end"
    ),
    "a field of an answer may be missing": lambda now: schema(now, "AppointmentOut")[
        "required"
    ].remove("end"),
    "a field of an answer has another type": lambda now: schema(now, "AppointmentOut")[
        "properties"
    ].update(version={"type": "string"}),
    "a field of an answer may be null": lambda now: schema(now, "AppointmentOut")[
        "properties"
    ].update(end={"anyOf": [schema(now, "AppointmentOut")["properties"]["end"], {"type": "null"}]}),
    "a field of a request is newly required": lambda now: schema(now, "ConfirmIn")[
        "required"
    ].append("reason"),
    "a new field of a request is required": lambda now: (
        schema(now, "ConfirmIn")["properties"].update(colour={"type": "string"}),
        schema(now, "ConfirmIn")["required"].append("colour"),
    ),
    "a field of a request is gone": lambda now: schema(now, "ConfirmIn")["properties"].pop(
        "reason"
    ),
    "a field of a request is shorter": lambda now: schema(now, "ConfirmIn")["properties"][
        "reservationToken"
    ].update(maxLength=5),
    "a value is no longer taken": lambda now: schema(now, "AppointmentOut")["properties"]["status"][
        "enum"
    ].pop(),
    "a parameter is newly required": lambda now: of(now, "get", LIST)["parameters"].append(
        {"in": "query", "name": "colour", "required": True, "schema": {"type": "string"}}
    ),
    "a parameter is gone": lambda now: of(now, "get", LIST)["parameters"].pop(),
    "another status": lambda now: of(now, "post", "/v1/bookings")["responses"].pop("201"),
    "another name of the operation": lambda now: of(now, "get", LIST).update(operationId="list"),
    "a token is needed": lambda now: of(now, "get", "/v1/calendar-feeds/{token}.ics").update(
        security=[{"accessToken": []}]
    ),
}
HARMLESS: dict[str, Change] = {
    "nothing": lambda _: None,
    "a new path": lambda now: now["paths"].update({"/v1/new": now["paths"]["/v1/bookings"]}),
    "a new field of an answer": lambda now: schema(now, "AppointmentOut")["properties"].update(
        colour={"type": "string"}
    ),
    "a new optional field of a request": lambda now: schema(now, "ConfirmIn")["properties"].update(
        colour={"type": "string"}
    ),
    "a new value": lambda now: schema(now, "AppointmentOut")["properties"]["status"]["enum"].append(
        "new"
    ),
    "another refusal": lambda now: of(now, "post", "/v1/bookings")["responses"].pop("409"),
    "other words": lambda now: of(now, "get", LIST).update(description="Other words."),
}


@pytest.mark.parametrize("change", BREAKING.values(), ids=BREAKING)
def test_a_change_that_breaks_clients_is_noticed(current: Json, change: Change) -> None:
    changed = deepcopy(current)

    change(changed)

    assert breaking_changes(current, changed)


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_a_harmless_change_is_allowed(current: Json, change: Change) -> None:
    changed = deepcopy(current)

    change(changed)

    assert breaking_changes(current, changed) == []
