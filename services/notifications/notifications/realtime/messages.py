"""One message on one channel, written once for however many clients."""

from dataclasses import dataclass
from functools import cached_property

import orjson
from fastapi.sse import format_sse_event

PRIVATE = "private-"
"""Begins our channels' names on the Pusher protocol, where others would be open to everybody."""


@dataclass(frozen=True)
class Message:
    """``position`` is its id, the same in every process; ``data`` is a JSON object."""

    position: int
    channel: str
    event: str
    data: str

    @cached_property
    def sse(self) -> bytes:
        inner = self.data[1:]
        comma = "" if inner == "}" else ","
        return format_sse_event(
            event=self.event,
            id=str(self.position),
            data_str=f'{{"channel":"{self.channel}"{comma}{inner}',
        )

    @cached_property
    def pusher(self) -> str:
        return orjson.dumps(
            {"event": self.event, "channel": PRIVATE + self.channel, "data": self.data}
        ).decode()
