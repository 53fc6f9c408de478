"""Google's push channels: opened, told through, and gone without a word."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from uuid import uuid4

from .refusals import invalid, not_found

Deliver = Callable[[str, dict[str, str]], Awaitable[int]]
"""Posts headers without a body to an address, and gives the status of the answer."""

_LONGEST = 604_800
_RETRIED = frozenset({500, 502, 503, 504})


@dataclass
class Channel:
    id: str
    resource_id: str
    calendar: str
    owner: str
    address: str
    token: str | None
    expires_at: float
    number: int = 1
    is_stopped: bool = False


@dataclass
class Channels:
    """``drops`` decides of each message whether it is lost; ``twice`` sends each two times."""

    deliver: Deliver
    allows_http: bool = True
    drops: Callable[[], bool] = lambda: False
    twice: bool = False
    is_sync_first: bool = False
    most_seconds: int = _LONGEST
    open: dict[str, Channel] = field(default_factory=dict)
    sent: list[tuple[str, int]] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def watch(self, calendar: str, owner: str, body: dict[str, Any], uri: str) -> Any:
        id_, address = body.get("id", ""), body.get("address", "")
        if body.get("type") not in ("web_hook", "webhook") or not 0 < len(id_) <= 64:
            raise invalid("Invalid channel")
        if id_ in self.open:
            raise invalid(f"Channel id {id_} not unique", "channelIdNotUnique")
        if not address.startswith("https://") and not self.allows_http:
            raise invalid("WebHook callback must be HTTPS", "push.webhookUrlNotHttps")
        ttl = int(body.get("params", {}).get("ttl", _LONGEST))
        expires_at = time.time() + min(ttl, self.most_seconds)
        if "expiration" in body:
            expires_at = min(expires_at, int(body["expiration"]) / 1000)
        if expires_at <= time.time():
            raise invalid("Invalid ttl value for channel.", "pushInvalidTtl")
        channel = Channel(id_, uuid4().hex, calendar, owner, address, body.get("token"), expires_at)
        self.open[id_] = channel
        self._send(channel, "sync", uri)
        if self.is_sync_first:
            await self.quiet()
        answer = {
            "kind": "api#channel",
            "id": id_,
            "resourceId": channel.resource_id,
            "resourceUri": uri,
            "expiration": str(int(expires_at * 1000)),
        }
        return answer | ({"token": channel.token} if channel.token else {})

    def stop(self, owner: str, body: dict[str, Any]) -> None:
        channel = self.open.get(body.get("id", ""))
        if (
            channel is None
            or channel.is_stopped
            or (channel.owner, channel.resource_id) != (owner, body.get("resourceId"))
        ):
            raise not_found()
        channel.is_stopped = True

    def expire(self) -> None:
        for channel in self.open.values():
            channel.expires_at = 0

    def tell(self, calendar: str, uri: str, *, late: bool = False) -> None:
        """Something has changed there; ``late`` reaches stopped channels too."""
        for channel in self.open.values():
            live = not channel.is_stopped and channel.expires_at > time.time()
            if channel.calendar == calendar and (live or late):
                channel.number += 1 + len(self.sent) % 3
                for _ in range(2 if self.twice else 1):
                    if not self.drops():
                        self._send(channel, "exists", uri)

    async def quiet(self) -> None:
        """Returns when everything sent has been answered or given up."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def _send(self, channel: Channel, state: str, uri: str) -> None:
        ends_at = datetime.fromtimestamp(channel.expires_at, UTC)
        headers = {
            "X-Goog-Channel-ID": channel.id,
            "X-Goog-Channel-Expiration": format_datetime(ends_at, usegmt=True),
            "X-Goog-Resource-ID": channel.resource_id,
            "X-Goog-Resource-URI": uri,
            "X-Goog-Resource-State": state,
            "X-Goog-Message-Number": str(channel.number),
        }
        if channel.token is not None:
            headers["X-Goog-Channel-Token"] = channel.token
        task = asyncio.create_task(self._post(channel, headers))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, channel: Channel, headers: dict[str, str]) -> None:
        for _ in range(3):
            try:
                status = await self.deliver(channel.address, headers)
            except OSError:
                status = 503
            self.sent.append((channel.id, status))
            if status not in _RETRIED:
                return
