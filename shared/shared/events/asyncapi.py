"""The AsyncAPI 3 document of all events: ``python -m shared.events.asyncapi > docs/asyncapi.json``.

Made from the event models and the broker's topology, so it says what is really sent.
"""

import json
import re
import sys
from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from shared.events.envelope import EventData
from shared.events.registry import EVENT_TYPES
from shared.messaging.topology import EXCHANGE, LISTENERS
from shared.messaging.wire import CONTENT_TYPE

_SCHEMAS = "#/components/schemas/"
_BINDING = {"bindingVersion": "0.3.0"}
_PERSISTENT = 2

_ENVELOPE = {
    "type": "object",
    "description": "CloudEvents 1.0, structured JSON. Fields beyond these are to be read over.",
    "required": [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "sequence",
        "datacontenttype",
        "data",
    ],
    "properties": {
        "specversion": {"type": "string", "const": "1.0"},
        "id": {
            "type": "string",
            "format": "uuid",
            "description": "The same in every delivery of the same event.",
        },
        "source": {"type": "string", "description": "The service that sends it: /bookings."},
        "type": {"type": "string", "description": "Also the routing key: booking.confirmed."},
        "subject": {"type": "string", "description": "The id of what the event is about."},
        "time": {"type": "string", "format": "date-time", "description": "When it was committed."},
        "sequence": {
            "type": "integer",
            "description": "The subject's version; of two events the higher one is newer.",
        },
        "datacontenttype": {"type": "string", "const": "application/json"},
        "traceparent": {"type": "string", "description": "W3C trace context of the cause."},
        "data": {"type": "object"},
    },
}


def document() -> dict[str, Any]:
    """Channels, operations, messages and schemas of every registered event."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Medic platform events",
            "version": "1.0.0",
            "description": "Each service announces what has happened in what it owns. "
            "docs/events.md says when, and what may be relied on.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {name: _channel(name) for name in sorted(EVENT_TYPES)},
        "operations": _operations(),
        "components": {
            "messages": {name: _message(event) for name, event in sorted(EVENT_TYPES.items())},
            "schemas": {"CloudEvent": _ENVELOPE, **_data_schemas()},
        },
    }


def _channel(name: str) -> dict[str, Any]:
    exchange = {"name": EXCHANGE, "type": "topic", "durable": True, "autoDelete": False}
    return {
        "address": name,
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange, **_BINDING}},
    }


def _operations() -> dict[str, Any]:
    sent = {
        f"{_sender(event)}.send.{name}": _operation("send", _sender(event), name)
        for name, event in sorted(EVENT_TYPES.items())
    }
    received = {
        f"{service}.receive.{name}": _operation("receive", service, name)
        for service, names in sorted(LISTENERS.items())
        for name in sorted(names)
        if name in EVENT_TYPES
    }
    return sent | received


def _operation(action: str, service: str, name: str) -> dict[str, Any]:
    amqp = {"deliveryMode": _PERSISTENT, "mandatory": True} if action == "send" else {"ack": True}
    channel = f"#/channels/{name}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"}],
        "tags": [{"name": service}],
        "bindings": {"amqp": {**amqp, **_BINDING}},
    }


def _sender(event: type[EventData]) -> str:
    return event.source.removeprefix("/")


def _message(event: type[EventData]) -> dict[str, Any]:
    head = {"type": {"const": event.type}, "source": {"const": event.source}}
    data = {"data": {"$ref": f"{_SCHEMAS}{event.__name__}"}}
    return {
        "name": event.type,
        "title": re.sub("(?<=[a-z])(?=[A-Z])", " ", event.__name__),
        "contentType": CONTENT_TYPE,
        "payload": {"allOf": [{"$ref": f"{_SCHEMAS}CloudEvent"}, {"properties": head | data}]},
        "bindings": {"amqp": {"messageType": event.type, **_BINDING}},
    }


def _data_schemas() -> dict[str, Any]:
    models: list[tuple[type[EventData], Literal["serialization"]]] = [
        (event, "serialization") for event in EVENT_TYPES.values()
    ]
    _, generated = models_json_schema(models, ref_template=f"{_SCHEMAS}{{model}}")
    schemas: dict[str, Any] = generated["$defs"]
    return {name: _without_titles(schema) for name, schema in sorted(schemas.items())}


def _without_titles(schema: dict[str, Any]) -> dict[str, Any]:
    """pydantic's titles of fields are their names once more, in worse spelling."""
    for field in schema.get("properties", {}).values():
        field.pop("title", None)
    return schema


def main() -> None:
    json.dump(document(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
