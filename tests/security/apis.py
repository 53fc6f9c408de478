"""All five APIs in the test's own process, and every operation that their documents name."""

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from fastapi import FastAPI

from bookings.settings import BookingsSettings
from calendar_sync.settings import CalendarSyncSettings
from notifications.settings import NotificationsSettings
from reservations.settings import ReservationsSettings
from shared.settings import ServiceSettings

Json = dict[str, Any]

SERVICES = ("availability", "bookings", "reservations", "notifications", "calendar-sync")
METHODS = ("get", "put", "post", "patch", "delete")

KEY = "idempotencyKey"
NOBODY = "http://127.0.0.1:1/"
PUBLIC_URL = "https://clinic.example"
_SETTINGS: Mapping[str, type[ServiceSettings]] = {
    "bookings": BookingsSettings,
    "reservations": ReservationsSettings,
    "notifications": NotificationsSettings,
    "calendar-sync": CalendarSyncSettings,
}
_OWN: Mapping[str, Json] = {
    "reservations": {
        "availability_url": NOBODY,
        "bookings_url": NOBODY,
        "reservation_token_secret": "a-secret-for-reservation-tokens-in-tests",
    },
    "notifications": {
        "realtime_longest_seconds": 0,
        "pusher_app": "1:a-key:a-secret-for-tests-only",
        "webhook_keys": f"k1:{'A' * 43}",
        "twilio_account_sid": f"AC{'0' * 32}",
        "twilio_auth_token": "a-token-of-twilio-for-tests-only",
        "twilio_from": "Clinic",
        "webhook_opened_hosts": "hooks.test",
        "twilio_url": NOBODY.rstrip("/"),
    },
    "calendar-sync": {
        "calendar_link_secret": "a-secret-of-feed-links-for-tests-only",
        "calendar_keys": "test:dGVzdC1rZXktdGVzdC1rZXktdGVzdC1rZXktdGVzdC0=",
        "google_client_id": "the-clinic",
        "google_client_secret": "a-secret-of-google-for-tests-only",
        "google_token_url": f"{NOBODY}token",
        "microsoft_client_id": "the-clinic",
        "microsoft_client_secret": "a-secret-of-microsoft-for-tests-only",
    },
}


def app_of(service: str, values: Json, **more: Any) -> FastAPI:
    """The API with settings of its own in which everything is switched on."""
    settings = _SETTINGS.get(service, ServiceSettings)
    module = importlib.import_module(f"{service.replace('-', '_')}.app")
    app: FastAPI = module.make_app(
        settings(**values | {"public_url": PUBLIC_URL} | _OWN.get(service, {}) | more)
    )
    return app


@dataclass(frozen=True)
class Operation:
    """One method of one path, as the service's document has it."""

    service: str
    method: str
    path: str
    description: Json
    document: Json

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def caller(self) -> str:
        """Whose token it asks for: ``user``, ``service``, or nobody's."""
        schemes = {name for each in self.description.get("security", ()) for name in each}
        if "serviceToken" in schemes:
            return "service"
        return "user" if "accessToken" in schemes else "nobody"

    def parameters(self, where: str) -> Json:
        """Its parameters in path, query or header, by name."""
        found = self.description.get("parameters", ())
        return {each["name"]: each for each in found if each["in"] == where}

    @property
    def body_schema(self) -> Json | None:
        """What its JSON body has to be; None when it takes none."""
        content = self.description.get("requestBody", {}).get("content", {})
        schema: Json | None = content.get("application/json", {}).get("schema")
        return None if schema is None else resolved(schema, self.document)

    def target(self, **given: str) -> str:
        """The address with the parameters that it needs; ids are new unless ``given``."""
        path = re.sub(r"\{(\w+)\}", lambda name: given.get(name[1]) or _in_path(name[1]), self.path)
        query = "&".join(
            f"{name}={given.get(name) or _in_query(each, self.document)}"
            for name, each in self.parameters("query").items()
            if each.get("required") or name in given
        )
        return f"{path}?{query}" if query else path

    def body(self) -> Any:
        """A body that its schema allows, with a key of its own; None when it takes none."""
        schema = self.body_schema
        if schema is None:
            return None
        known = BODIES.get(str(self), {})
        made = sample(schema, self.document)
        if not isinstance(made, dict):
            return made
        key = {KEY: uuid4().hex} if KEY in schema.get("properties", {}) else {}
        return made | known | key


def operations(service: str, document: Json) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                yield Operation(service, method.upper(), path, methods[method], document)


def resolved(schema: Json, document: Json) -> Json:
    """The schema itself, without a reference and without the alternative of null."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            first = next(each for each in schema[word] if each.get("type") != "null")
            return resolved(first, document)
    return schema


def sample(schema: Json, document: Json) -> Any:
    """The least that the schema allows: required fields only."""
    schema = resolved(schema, document)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            needed = schema.get("required", ())
            properties = schema.get("properties", {})
            return {name: sample(properties[name], document) for name in needed}
        case "array":
            return [sample(schema["items"], document)] * schema.get("minItems", 0)
        case "integer" | "number":
            return max(schema.get("minimum", 1), 1)
        case "boolean":
            return True
        case _:
            return _text(schema)


def _text(schema: Json) -> str:
    match schema.get("format"):
        case "uuid":
            return str(uuid4())
        case "date-time":
            return "2030-01-07T09:00:00.000Z"
        case "date":
            return "2030-01-07"
        case "time" | "local-time":
            return "09:00"
        case "iana-time-zone":
            return "Europe/Athens"
        case "iso-4217":
            return "EUR"
        case "email":
            return "anna@example.com"
        case "phone":
            return "+302101234567"
        case "uri":
            return "https://127.0.0.1/calendar"
        case _:
            return str(next(iter(schema.get("examples", ())), "a" * schema.get("minLength", 1)))


def _in_path(name: str) -> str:
    if name == "userId":
        return USER
    if name.endswith("Id") and name != "appId":
        return str(uuid4())
    return {"appId": "1", "kind": "google", "name": "confirmed"}.get(name, "A" * 32)


def _in_query(parameter: Json, document: Json) -> str:
    value = sample(parameter["schema"], document)
    return str((value or ["x"])[0] if isinstance(value, list) else value)


_HOOK: Json = {"url": "https://hooks.test/medic"}
_HASH: Json = {"tokenHash": "0" * 64}
USER = str(uuid4())
BODIES: Mapping[str, Json] = {
    "POST /v1/patients/{userId}/erasure": {"confirmUserId": USER},
    "POST /v1/availability/search": {"providerIds": [str(uuid4())]},
    "POST /internal/holds": _HASH,
    "POST /internal/holds/{appointmentId}/extend": _HASH,
    "POST /v1/bookings": {"reservationToken": "A" * 32},
    "POST /v1/appointments/{appointmentId}/reschedule": {"reservationToken": "A" * 32},
    "POST /v1/providers/{providerId}/appointments": {"reservationToken": "A" * 32},
    "POST /v1/providers/{providerId}/webhook-endpoints": _HOOK,
    "PUT /v1/providers/{providerId}/webhook-endpoints/{endpointId}": _HOOK,
    "POST /v1/webhook-endpoints": _HOOK,
    "PUT /v1/webhook-endpoints/{endpointId}": _HOOK,
}
"""Fields that make a sample one that the rules between its fields allow, too."""


Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Field:
    """One field of a body: ``days.0.weekday``."""

    place: Place
    schema: Json

    def __str__(self) -> str:
        return ".".join(str(step) for step in self.place)


def fields(schema: Json, document: Json, place: Place = ()) -> Iterator[Field]:
    """Every field inside, also of lists' entries."""
    schema = resolved(schema, document)
    if schema.get("type") == "object":
        inner = schema.get("properties", {}).items()
    else:
        inner = [(0, schema["items"])] if schema.get("type") == "array" else []
    for step, each in inner:
        here = (*place, step)
        yield Field(here, resolved(each, document))
        yield from fields(each, document, here)


def with_value(body: Any, place: Place, value: Any, schema: Json, document: Json) -> Any:
    """The body with this value at this place, whose neighbours are made up where they lack."""
    if not place:
        return value
    schema = resolved(schema, document)
    step, *rest = place
    if isinstance(step, int):
        inner = body[0] if body else sample(schema["items"], document)
        return [with_value(inner, tuple(rest), value, schema["items"], document)]
    properties = schema["properties"]
    inner = body.get(step) if isinstance(body, dict) else None
    if inner is None and rest:
        inner = sample(properties[step], document)
    whole = body if isinstance(body, dict) else sample(schema, document)
    return whole | {step: with_value(inner, tuple(rest), value, properties[step], document)}


def encoded(body: Any) -> bytes:
    """JSON as a client without manners writes it: NaN, half characters and all."""
    return json.dumps(body).replace('"@1e400@"', "1e400").encode()
