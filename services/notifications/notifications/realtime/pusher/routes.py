"""The Pusher protocol's three doors: the WebSocket, who may subscribe, and signed messages."""

import re
from typing import Annotated, Any
from urllib.parse import parse_qsl

import orjson
from fastapi import Request, WebSocket
from starlette.websockets import WebSocketDisconnect

from notifications.realtime import connections
from notifications.realtime.channels import NotAChannel, channel_of
from notifications.realtime.hub import Hub, TooManyConnections, too_many_connections
from notifications.realtime.messages import PRIVATE
from notifications.realtime.pusher.application import Application
from notifications.realtime.pusher.socket import (
    NO_SUCH_APPLICATION,
    OVER_CAPACITY,
    VERSION_NOT_SUPPORTED,
    Goodbye,
    PusherSocket,
)
from notifications.realtime.refusals import ChannelNotFound
from notifications.realtime.telling import News, tell
from shared.app import new_router
from shared.auth import CurrentUser
from shared.db import SqlTransaction
from shared.errors import BadRequest, NotFound, Unauthorized, Unavailable
from shared.fields import Answer, FromQuery, Query, Text
from shared.json_body import parse_json
from shared.problems import problems

router = new_router(tags=["realtime"])

_VERSIONS = {"5", "6", "7"}
_SOCKET = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})")
_EVENT = re.compile(r"[A-Za-z0-9_.:=@,;-]{1,200}")
_MOST_EVENTS = 10
_LONGEST_DATA = 10_240


class PusherNotOffered(NotFound):
    code = "pusher_not_offered"
    title = "There is no such Pusher application"


class PusherMessageInvalid(BadRequest):
    code = "pusher_message_invalid"
    title = "This is not a message of the Pusher protocol"


class SignatureInvalid(Unauthorized):
    code = "signature_invalid"
    title = "The call is not signed by this application, or not now"


class ChannelAuth(Answer):
    auth: str


class Signed(Query):
    auth_key: Annotated[str, Text(64)]
    auth_timestamp: Annotated[str, Text(20)]
    auth_version: Annotated[str, Text(10)]
    body_md5: Annotated[str, Text(32)]
    auth_signature: Annotated[str, Text(64)]

    model_config = Query.model_config | {"alias_generator": None}


@router.websocket("/app/{key}")
async def connect(socket: WebSocket, key: str) -> None:
    application: Application | None = socket.app.state.settings.pusher_application
    hub: Hub = socket.app.state.realtime
    await socket.accept()
    client = None
    try:
        if application is None or key != application.key:
            raise Goodbye(NO_SUCH_APPLICATION, "there is no such application")  # noqa: TRY301
        if socket.query_params.get("protocol") not in _VERSIONS:
            raise Goodbye(VERSION_NOT_SUPPORTED, "use version 7 of the protocol")  # noqa: TRY301
        client = await hub.connect()
        await PusherSocket(socket, hub, client, application).serve()
    except WebSocketDisconnect:
        pass
    except (Goodbye, Unavailable) as end:
        code = end.code if isinstance(end, Goodbye) else OVER_CAPACITY
        await _say_goodbye(socket, int(code), str(end))
    finally:
        if client is not None:
            hub.disconnect(client)


async def _say_goodbye(socket: WebSocket, code: int, message: str) -> None:
    error = {"event": "pusher:error", "data": {"code": code, "message": message}}
    try:
        await socket.send_text(orjson.dumps(error).decode())
        await socket.close(code, message)
    except (WebSocketDisconnect, RuntimeError):
        pass  # the client was quicker


@router.post(
    "/v1/realtime/pusher-auth",
    responses=problems(PusherNotOffered, PusherMessageInvalid, ChannelNotFound, TooManyConnections),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "required": ["socket_id", "channel_name"],
                        "properties": {
                            "socket_id": {"type": "string", "pattern": r"^[0-9]+\.[0-9]+$"},
                            "channel_name": {"type": "string"},
                        },
                    }
                }
            },
        }
    },
)
async def authorize_pusher_channel(
    request: Request, db: SqlTransaction, user: CurrentUser
) -> ChannelAuth:
    """Lets the caller's socket subscribe to a private channel, as pusher-js asks for it."""
    application: Application | None = request.app.state.settings.pusher_application
    if application is None:
        raise PusherNotOffered
    form = _form(await request.body())
    socket_id, name = form.get("socket_id", ""), form.get("channel_name", "")
    socket = _SOCKET.fullmatch(socket_id)
    if socket is None:
        raise PusherMessageInvalid("socket_id and channel_name are needed, as pusher-js sends them")
    if not _may_watch(name, user):
        raise ChannelNotFound(f"no such channel for you; names begin with {PRIVATE}")
    hub: Hub = request.app.state.realtime
    most = hub.limits.of_one_user
    if not await connections.enter(db, user.id, int(socket[1]), int(socket[2]), most=most):
        raise too_many_connections(most)
    return ChannelAuth(auth=application.channel_auth(socket_id, name))


@router.post(
    "/apps/{app_id}/events",
    responses=problems(PusherNotOffered, PusherMessageInvalid, SignatureInvalid),
)
async def publish_event(
    request: Request,
    app_id: Annotated[str, Text(20)],
    signed: FromQuery[Signed],
    db: SqlTransaction,
) -> dict[str, str]:
    """One message to several channels, as Pusher's server libraries send it."""
    event = await _signed_body(request, app_id, signed)
    names = event.get("channels") or [event.get("channel")]
    if not isinstance(names, list) or not 0 < len(names) <= _MOST_EVENTS:
        raise PusherMessageInvalid(f"channels are 1 to {_MOST_EVENTS} names")
    await tell(db, [_news(event, name) for name in names], is_foreign=True)
    return {}


@router.post(
    "/apps/{app_id}/batch_events",
    responses=problems(PusherNotOffered, PusherMessageInvalid, SignatureInvalid),
)
async def publish_events(
    request: Request,
    app_id: Annotated[str, Text(20)],
    signed: FromQuery[Signed],
    db: SqlTransaction,
) -> dict[str, str]:
    """Several messages, each to one channel."""
    batch = (await _signed_body(request, app_id, signed)).get("batch")
    if not isinstance(batch, list) or not 0 < len(batch) <= _MOST_EVENTS:
        raise PusherMessageInvalid(f"a batch has 1 to {_MOST_EVENTS} events")
    await tell(db, [_news(event, _member(event, "channel")) for event in batch], is_foreign=True)
    return {}


async def _signed_body(request: Request, app_id: str, signed: Signed) -> dict[str, Any]:
    application: Application | None = request.app.state.settings.pusher_application
    if application is None or app_id != application.id:
        raise PusherNotOffered
    body = await request.body()
    if not application.has_signed("POST", request.url.path, body, signed.model_dump()):
        raise SignatureInvalid
    content = parse_json(body) if body else None
    if not isinstance(content, dict):
        raise PusherMessageInvalid("the body is a JSON object")
    return content


def _news(event: Any, channel: Any) -> News:
    name, data = _member(event, "name"), _member(event, "data")
    if _member(event, "socket_id") is not None:
        raise PusherMessageInvalid("socket_id is not supported: everybody who watches is told")
    if not isinstance(name, str) or not _EVENT.fullmatch(name):
        raise PusherMessageInvalid("name is needed, of at most 200 letters, digits and _.:=@,;-")
    if not isinstance(data, str) or len(data) > _LONGEST_DATA:
        raise PusherMessageInvalid(f"data is a text of at most {_LONGEST_DATA} characters")
    content = parse_json(data.encode()) if data else None
    if not isinstance(content, dict):
        raise PusherMessageInvalid("data is the text of a JSON object")
    if not isinstance(channel, str) or not channel.startswith(PRIVATE):
        raise PusherMessageInvalid(f"channels begin with {PRIVATE}")
    try:
        return News(channel_of(channel.removeprefix(PRIVATE)).name, name, content)
    except NotAChannel:
        raise PusherMessageInvalid("there is no such channel") from None


def _member(event: Any, name: str) -> Any:
    return event.get(name) if isinstance(event, dict) else None


def _may_watch(name: str, user: CurrentUser) -> bool:
    if not name.startswith(PRIVATE):
        return False
    try:
        return channel_of(name.removeprefix(PRIVATE)).may_be_watched_by(user)
    except NotAChannel:
        return False


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode("ascii"), max_num_fields=10, errors="strict"))
    except ValueError:  # also of decoding
        raise PusherMessageInvalid("the body is a form of a few fields") from None
