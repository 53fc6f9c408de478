"""One WebSocket of the Pusher protocol, version 7."""

import asyncio
import random
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from notifications.realtime.channels import MOST_CHANNELS, NotAChannel, channel_of
from notifications.realtime.clients import Client
from notifications.realtime.hub import Hub
from notifications.realtime.messages import PRIVATE
from notifications.realtime.pusher.application import Application

_ACTIVITY_TIMEOUT = 120
_PATIENCE = 30
_SUBSCRIBE_WITHIN = 60.0
_LONGEST_FRAME = 10_000
_MOST_FAULTS = 20

# 4000-4099: do not come back as you are; 4100-4199: come back later; 4200-4299: come back at once.
NO_SUCH_APPLICATION = 4001
VERSION_NOT_SUPPORTED = 4007
NOT_SUBSCRIBED_IN_TIME = 4009
TOO_MANY_FAULTS = 4000
OVER_CAPACITY = 4100
COME_AGAIN = 4200
SILENT = 4201
NO_CLIENT_EVENTS = 4301
TOO_LARGE = 1009


class Goodbye(Exception):
    """The server ends the connection, and says why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class PusherSocket:
    """Serves one accepted WebSocket until either side has enough."""

    def __init__(
        self, socket: WebSocket, hub: Hub, client: Client, application: Application
    ) -> None:
        self._socket = socket
        self._hub = hub
        self._client = client
        self._application = application
        self._id = f"{hub.copy}.{client.number}"
        self._faults = 0
        # Whoever subscribes hears of the success before the channel's first message.
        self._turn = asyncio.Lock()

    async def serve(self) -> None:
        """Raises Goodbye, or WebSocketDisconnect when the client has left."""
        established = orjson.dumps({"socket_id": self._id, "activity_timeout": _ACTIVITY_TIMEOUT})
        await self._send("pusher:connection_established", data=established.decode())
        writing = asyncio.create_task(self._write())
        reading = asyncio.create_task(self._read())
        self._client.cut = lambda: _cancel(writing)
        try:
            await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, reading):
                task.cancel()
            ended = await asyncio.gather(writing, reading, return_exceptions=True)
        if self._client.is_too_slow:
            raise Goodbye(OVER_CAPACITY, "too many messages wait for this client")
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome

    async def _write(self) -> None:
        clock = asyncio.get_running_loop().time
        ends_at = clock() + self._hub.limits.longest * random.uniform(0.9, 1)  # noqa: S311
        while not self._client.is_over and (left := ends_at - clock()) > 0:
            messages = await self._client.next(left)
            async with self._turn:
                for message in messages:
                    await self._socket.send_text(message.pusher)
        raise Goodbye(COME_AGAIN, "connect again")

    async def _read(self) -> None:
        clock = asyncio.get_running_loop().time
        subscribe_by = clock() + _SUBSCRIBE_WITHIN
        while True:
            patience = _ACTIVITY_TIMEOUT + _PATIENCE + 0.0
            if not self._client.channels:
                patience = subscribe_by - clock()
            try:
                async with asyncio.timeout(patience):
                    frame = await self._socket.receive()
            except TimeoutError:
                if not self._client.channels:
                    raise Goodbye(NOT_SUBSCRIBED_IN_TIME, "subscribe to a channel") from None
                raise Goodbye(SILENT, "no answer in time") from None
            if frame["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(frame.get("code", 1000))
            await self._take(frame.get("text"))

    async def _take(self, text: str | None) -> None:
        if text is not None and len(text) > _LONGEST_FRAME:
            raise Goodbye(TOO_LARGE, "the frame is too large")
        try:
            frame = orjson.loads(text or "")
        except orjson.JSONDecodeError:
            frame = None
        event, data = _event_of(frame)
        match event:
            case "pusher:ping":
                await self._send("pusher:pong", data="{}")
            case "pusher:pong":
                pass
            case "pusher:subscribe":
                await self._subscribe(data)
            case "pusher:unsubscribe":
                self._hub.unwatch(self._client, [str(data.get("channel")).removeprefix(PRIVATE)])
            case str() if event.startswith("client-"):
                await self._fault(NO_CLIENT_EVENTS, "clients send no events here")
            case _:
                await self._fault(None, "not a message of the protocol")

    async def _subscribe(self, data: dict[str, Any]) -> None:
        channel = data.get("channel")
        refusal = self._refusal(channel, data.get("auth"))
        if refusal is not None:
            status, message = refusal
            await self._send(
                "pusher:subscription_error",
                channel=channel if isinstance(channel, str) else "",
                data={"type": "AuthError", "error": message, "status": status},
            )
            self._count_fault()
            return
        async with self._turn:
            self._hub.watch(self._client, [str(channel).removeprefix(PRIVATE)])
            await self._send("pusher_internal:subscription_succeeded", channel=channel, data="{}")

    def _refusal(self, channel: object, auth: object) -> tuple[int, str] | None:
        if not isinstance(channel, str) or not _is_ours(channel):
            return 404, f"channels begin with {PRIVATE}user. or {PRIVATE}provider."
        if not self._application.allows(auth, self._id, channel):
            return 401, "the signature is not valid for this socket and channel"
        if len(self._client.channels) >= MOST_CHANNELS:
            return 429, f"a connection may watch {MOST_CHANNELS} channels"
        return None

    async def _fault(self, code: int | None, message: str) -> None:
        await self._send("pusher:error", data={"code": code, "message": message})
        self._count_fault()

    def _count_fault(self) -> None:
        self._faults += 1
        if self._faults > _MOST_FAULTS:
            raise Goodbye(TOO_MANY_FAULTS, "too many messages that are not understood")

    async def _send(self, event: str, *, data: Any, channel: str | None = None) -> None:
        frame = {"event": event, "data": data}
        if channel is not None:
            frame["channel"] = channel
        await self._socket.send_text(orjson.dumps(frame).decode())


def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()


def _event_of(frame: Any) -> tuple[str | None, dict[str, Any]]:
    if not isinstance(frame, dict) or not isinstance(frame.get("event"), str):
        return None, {}
    data = frame.get("data")
    return frame["event"], data if isinstance(data, dict) else {}


def _is_ours(name: str) -> bool:
    """Whether it is, letter by letter, how one of our channels is called here."""
    inner = name.removeprefix(PRIVATE)
    try:
        return inner != name and channel_of(inner).name == inner
    except NotAChannel:
        return False
