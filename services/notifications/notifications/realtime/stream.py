"""A stream of server-sent events to one client."""

import asyncio
import random

from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.types import Receive, Scope, Send

from notifications.realtime.clients import Client
from notifications.realtime.hub import Began, Hub

_RETRY = 2000
_PING = b": ping\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStream(EventSourceResponse):
    """Sends how it began and then what the hub brings, until either side has enough.

    A response of its own, because FastAPI's generators write each message anew for each client.
    """

    def __init__(self, hub: Hub, client: Client, began: Began) -> None:
        super().__init__(iter(()), headers=_HEADERS)
        self._hub = hub
        self._client = client
        self._began = began

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        listening = asyncio.create_task(self._until_gone(receive))
        try:
            async with asyncio.timeout(None) as limit:
                self._client.cut = lambda: limit.reschedule(0)
                await self._serve(send)
        except TimeoutError:
            if not self._client.is_too_slow:
                raise
        finally:
            listening.cancel()
            self._hub.disconnect(self._client)

    async def _serve(self, send: Send) -> None:
        limits = self._hub.limits
        clock = asyncio.get_running_loop().time
        # Those who came together shall not come again together.
        ends_at = clock() + limits.longest * random.uniform(0.9, 1)  # noqa: S311
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        await _write(send, _first(self._began))
        while not self._client.is_over and (left := ends_at - clock()) > 0:
            messages = await self._client.next(min(limits.heartbeat, left))
            if messages:
                await _write(send, b"".join([message.sse for message in messages]))
            elif not self._client.is_over and clock() < ends_at:
                await _write(send, _PING)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._client.end()


def _first(began: Began) -> bytes:
    names = ",".join(f'"{name}"' for name in began.channels)
    ready = format_sse_event(
        event=began.event,
        id=str(began.position),
        data_str=f'{{"channels":[{names}]}}',
        retry=_RETRY,
    )
    return ready + b"".join([message.sse for message in began.missed])


async def _write(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})
