"""What clients of realtime send and get."""

from typing import Annotated, Any

from notifications.realtime.channels import (
    LONGEST_NAME,
    MOST_CHANNELS,
    NotAChannel,
    Watched,
    watched,
)
from shared.fields import Answer, Instant, Query, Text, wrong
from shared.fields.parsed import Parsed

_ID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_CHANNEL = rf"(user\.{_ID}\.bookings|provider\.{_ID}\.(bookings|availability))"


def _watched(value: Any) -> Watched:
    try:
        return watched(value if isinstance(value, str) else "")
    except NotAChannel:
        raise wrong(
            "NOT_A_CHANNEL",
            "Write channels as user.{userId}.bookings, provider.{providerId}.bookings or "
            f"provider.{{providerId}}.availability, with commas, {MOST_CHANNELS} at most.",
        ) from None


class Watch(Query):
    channels: Annotated[
        Watched,
        Parsed(
            _watched,
            {
                "type": "string",
                "pattern": f"^{_CHANNEL}(,{_CHANNEL}){{0,{MOST_CHANNELS - 1}}}$",
                "maxLength": (LONGEST_NAME + 1) * MOST_CHANNELS,
                "examples": ["provider.018f2d3c-7b1a-7c3e-9d41-5f0c2b6a8e10.availability"],
            },
        ),
    ]
    ticket: Annotated[str, Text(100)] | None = None
    last_event_id: Annotated[str, Text(40)] | None = None


class TicketOut(Answer):
    ticket: str
    expires_at: Instant
