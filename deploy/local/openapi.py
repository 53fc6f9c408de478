"""The OpenAPI document of all that the gateway lets through: ``make openapi`` writes it to docs/.

Made from the five apps and from the gateway's own routes, so it says what is really served.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI

import availability.app
import bookings.app
import calendar_sync.app
import notifications.app
import reservations.app
from bookings.settings import BookingsSettings
from calendar_sync.settings import CalendarSyncSettings
from local.gateway import TEMPLATE
from notifications.settings import NotificationsSettings
from reservations.settings import ReservationsSettings
from shared.errors import TooMany
from shared.problems import MEDIA_TYPE
from shared.problems import document as add_problem
from shared.settings import ServiceSettings

Json = dict[str, Any]
Documents = Mapping[str, Json]
"""By service."""

_SERVER = "http://localhost:8080"
_METHODS = ("get", "put", "post", "delete", "patch")
_SCHEMAS = "#/components/schemas/"
_ID = "0192f0c1-7d5e-7cc3-98c4-dc0c0c07398f"

_PASSED_ON = re.compile(
    r"location\s+(?P<kind>=|~|)\s*(?P<path>\S+)\s*\{[^{}]*?proxy_pass http://(?P<service>[a-z-]+);"
)

# A process needs these to be made; nothing here calls anybody, and no document shows them.
_NOT_CALLED: Json = {
    "public_url": _SERVER,
    "database_url": "postgresql://nobody@127.0.0.1:1/nothing",
    "amqp_url": "amqp://nobody@127.0.0.1:1/",
    "auth_issuer": "https://issuer.example",
    "auth_audience": "medic",
    "auth_jwks": "https://issuer.example/jwks",
    "service_secret": "nothing-is-signed-with-this-one-at-all",
}

_DESCRIPTION = """\
Everything a client can call. docs/integrating.md shows it in the order in which one needs it.

Every answer from 400 upwards is a `Problem` (RFC 9457). Decide by its `code`; what each operation
may refuse stands in its responses. Read over fields, values and codes that you do not know:
answers may get more. The Pusher protocol (`/app/{key}`, a WebSocket) is no part of this document.
"""


def apps() -> dict[str, FastAPI]:
    """The five APIs, made for nothing but their documents."""
    return {
        "availability": availability.app.make_app(ServiceSettings(**_NOT_CALLED)),
        "reservations": reservations.app.make_app(
            ReservationsSettings(
                **_NOT_CALLED,
                availability_url="http://127.0.0.1:1",
                bookings_url="http://127.0.0.1:1",
                reservation_token_secret=_NOT_CALLED["service_secret"],
            )
        ),
        "bookings": bookings.app.make_app(BookingsSettings(**_NOT_CALLED)),
        "notifications": notifications.app.make_app(NotificationsSettings(**_NOT_CALLED)),
        "calendar-sync": calendar_sync.app.make_app(
            CalendarSyncSettings(
                **_NOT_CALLED,
                calendar_link_secret=_NOT_CALLED["service_secret"],
                calendar_keys="none:bm9uZS1ub25lLW5vbmUtbm9uZS1ub25lLW5vbmUtbm8=",
            )
        ),
    }


def service_behind(path: str) -> str | None:
    """Which service the gateway asks for a path of a document; None when it asks nobody."""
    asked = re.sub(r"\{\w+\}", _ID, path)
    routes = [found.groupdict() for found in _PASSED_ON.finditer(TEMPLATE.read_text())]
    for kind in ("=", "~", ""):  # nginx's own order
        for route in routes:
            if route["kind"] == kind and _takes(kind, route["path"], asked):
                return route["service"]
    return None


def _takes(kind: str, wanted: str, path: str) -> bool:
    if kind == "~":
        return re.search(wanted, path) is not None
    return path == wanted if kind == "=" else path.startswith(wanted)


def merged(documents: Documents) -> Json:
    """One document of the operations that the gateway routes to the service which has them."""
    documents = {service: _routed(service, each) for service, each in documents.items()}
    renamed = _renamed_schemas(documents)
    paths: Json = {}
    schemas: Json = {}
    securities: Json = {}
    for service, document in documents.items():
        told = _with_schemas_renamed(document, renamed[service])
        for path, operations in told["paths"].items():
            paths.setdefault(path, {}).update(operations)
        for name, schema in told["components"]["schemas"].items():
            schemas[renamed[service][name]] = schema
        securities |= document["components"]["securitySchemes"]
    for operation in operations_of({"paths": paths}):
        _as_of_3_1(operation["responses"])
        add_problem(TooMany, operation["responses"])  # the gateway's own limit of requests
    examples = _examples_named(paths)
    responses = _responses_named(paths)
    schemes = {name for op in operations_of({"paths": paths}) for name in _schemes_of(op)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Medic booking platform",
            "version": documents["bookings"]["info"]["version"],
            "description": _DESCRIPTION,
            "contact": documents["bookings"]["info"]["contact"],
        },
        "servers": [{"url": _SERVER, "description": "The gateway of `make run`."}],
        **_tags(documents, paths),
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": dict(sorted(responses.items())),
            "examples": dict(sorted(examples.items())),
            "securitySchemes": {name: securities[name] for name in sorted(schemes)},
        },
    }


def _as_of_3_1(responses: Json) -> None:
    """A stream's events are described as OpenAPI 3.2 does; 3.1 has no word for them."""
    for response in responses.values():
        for content in response.get("content", {}).values():
            if "itemSchema" in content:
                content["x-itemSchema"] = content.pop("itemSchema")
                content["schema"] = {"type": "string"}


def operations_of(document: Json) -> Iterator[Json]:
    """Every operation of every path."""
    for operations in document["paths"].values():
        yield from (operations[method] for method in _METHODS if method in operations)


def _routed(service: str, document: Json) -> Json:
    """What clients reach of a service's document."""
    paths = {
        path: operations
        for path, operations in document["paths"].items()
        if service_behind(path) == service
    }
    components = document["components"]
    known = components["schemas"]
    schemas = {name: known[name] for name in _needed_schemas(paths, known)}
    return document | {"paths": paths, "components": components | {"schemas": schemas}}


def _renamed_schemas(documents: Documents) -> dict[str, dict[str, str]]:
    """A name that means different things gets its service's before it; all others stay."""
    meanings: dict[str, set[str]] = {}
    for document in documents.values():
        for name, schema in document["components"]["schemas"].items():
            meanings.setdefault(name, set()).add(json.dumps(schema, sort_keys=True))
    return {
        service: {
            name: f"{service.title().replace('-', '')}{name}" if len(meanings[name]) > 1 else name
            for name in document["components"]["schemas"]
        }
        for service, document in documents.items()
    }


def _with_schemas_renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_with_schemas_renamed(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    found = {key: _with_schemas_renamed(each, names) for key, each in value.items()}
    reference = found.get("$ref")
    if isinstance(reference, str) and reference.startswith(_SCHEMAS):
        found["$ref"] = _SCHEMAS + names[reference.removeprefix(_SCHEMAS)]
    return found


def _examples_named(paths: Json) -> Json:
    """Takes problems' examples out of the paths, which then point to them by their codes."""
    examples: Json = {}
    for operation in operations_of({"paths": paths}):
        for response in operation["responses"].values():
            of_problem = response.get("content", {}).get(MEDIA_TYPE, {})
            for code, example in of_problem.get("examples", {}).items():
                if "$ref" not in example:
                    examples.setdefault(code, example)
                    of_problem["examples"][code] = {"$ref": f"#/components/examples/{code}"}
    return examples


def _responses_named(paths: Json) -> Json:
    """Takes out of the paths the refusals that several operations have in common."""
    uses: Counter[str] = Counter()
    for operation in operations_of({"paths": paths}):
        uses.update(json.dumps(response) for response in operation["responses"].values())
    named: Json = {}
    for operation in operations_of({"paths": paths}):
        for status, response in operation["responses"].items():
            if (
                response.get("content", {}).keys() == {MEDIA_TYPE}
                and uses[json.dumps(response)] > 1
            ):
                name = ".".join((status, *response["content"][MEDIA_TYPE]["examples"]))
                named[name] = response
                operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}
    return named


def _needed_schemas(used: Any, schemas: Json) -> set[str]:
    needed: set[str] = set()
    waiting = [*_schemas_named_in(used)]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += _schemas_named_in(schemas[name])
    return needed


def _schemas_named_in(value: Any) -> set[str]:
    return set(re.findall(rf'"{_SCHEMAS}([^"]+)"', json.dumps(value)))


def _schemes_of(operation: Json) -> set[str]:
    return {name for way in operation.get("security", ()) for name in way}


def _tags(documents: Documents, paths: Json) -> Json:
    """The tags in use, service by service, and to which service each belongs."""
    used = {tag for operation in operations_of({"paths": paths}) for tag in operation["tags"]}
    groups = [
        {
            "name": document["info"]["title"],
            "tags": [tag["name"] for tag in document["tags"] if tag["name"] in used],
        }
        for document in documents.values()
    ]
    described = [
        {"name": tag, "description": document["info"]["description"]}
        for document, group in zip(documents.values(), groups, strict=True)
        for tag in group["tags"]
    ]
    return {"tags": described, "x-tagGroups": groups}


def document() -> Json:
    """What ``make openapi`` writes."""
    return merged({service: app.openapi() for service, app in apps().items()})


def main() -> None:
    json.dump(document(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
