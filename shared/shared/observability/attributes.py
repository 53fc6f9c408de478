"""What a span may tell: ids, numbers and words of ours; never what somebody has entered."""

import re
from collections.abc import Mapping
from typing import Any

ALLOWED = frozenset(
    {
        "db.system.name",
        "error.type",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "medic.calendar.kind",
        "medic.delivery.status",
        "medic.notification.channel",
        "medic.notification.kind",
        "medic.timer",
        "messaging.destination.name",
        "messaging.message.id",
        "messaging.operation.name",
        "messaging.operation.type",
        "messaging.rabbitmq.destination.routing_key",
        "messaging.system",
        "server.address",
    }
)
"""Attributes by the names of OpenTelemetry's conventions, and ``medic.`` where those have none."""

# No @, no +, no quotes: an address or a number does not get through under an allowed name either.
_HARMLESS = re.compile(r"[A-Za-z0-9_./{}:*-]{1,64}(?: [A-Za-z0-9_./{}:*-]{1,64}){0,4}")


def is_harmless(text: str) -> bool:
    """At most five short words without what makes an address."""
    return _HARMLESS.fullmatch(text) is not None


def allowed(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the attributes that may leave the process."""
    return {
        name: value
        for name, value in attributes.items()
        if name in ALLOWED and (isinstance(value, int) or is_harmless(str(value)))
    }
