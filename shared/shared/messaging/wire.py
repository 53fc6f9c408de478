"""Events as bytes: CloudEvents 1.0, structured JSON."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal
from uuid import UUID

import asyncpg
import orjson
from pydantic import AwareDatetime, BaseModel, ValidationError

from shared.events.envelope import Event
from shared.events.registry import EVENT_TYPES

CONTENT_TYPE = "application/cloudevents+json"

_MENTIONED_ERRORS = 5


class UnreadableMessage(Exception):
    """This is not an event as its type promises it; trying again will not change that."""


class UnknownEventType(Exception):
    """An event of a type that this version of the code does not know."""


class _Head(BaseModel):
    specversion: Literal["1.0"]
    id: UUID
    type: str
    time: AwareDatetime


def encode(row: asyncpg.Record | Mapping[str, Any], source: str) -> bytes:
    """The message for a row of the outbox, its ``data`` as JSON text taken over as it is."""
    envelope = {
        "specversion": "1.0",
        "id": str(row["id"]),
        "source": source,
        "type": row["type"],
        "subject": row["subject"],
        "time": row["occurred_at"],
        "sequence": row["sequence"],
        "datacontenttype": "application/json",
        "data": orjson.Fragment(row["data"]),
    }
    if row["traceparent"] is not None:
        envelope["traceparent"] = row["traceparent"]
    return orjson.dumps(envelope, option=orjson.OPT_UTC_Z)


def decode(body: bytes) -> Event[Any]:
    """The event in a message; the reason of a refusal names fields, never their values."""
    try:
        head = _Head.model_validate_json(body)
    except ValidationError as error:
        raise UnreadableMessage(_without_values(error)) from None
    try:
        return message_model(head.type).model_validate_json(body)
    except ValidationError as error:
        raise UnreadableMessage(_without_values(error)) from None


@cache
def message_model(event_type: str) -> type[Event[Any]]:
    """The model of a whole message; the first call for a type builds it."""
    if event_type not in EVENT_TYPES:
        raise UnknownEventType("no such event type")
    return Event.__class_getitem__(EVENT_TYPES[event_type])  # type: ignore[return-value]


def _without_values(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{'.'.join(map(str, detail['loc'])) or 'message'}: {detail['type']}"
        for detail in details[:_MENTIONED_ERRORS]
    )
