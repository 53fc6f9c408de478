"""Where providers tell of changes. They show the secret of the channel that was opened for it, and
nothing that they say is believed but that there is something to read."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Request, Response
from fastapi.responses import PlainTextResponse

from calendar_sync.refusals import ChannelNotFound
from calendar_sync.use_cases.hear import Message, What, hear
from shared.app import new_router
from shared.db import SqlTransaction
from shared.json_body import InvalidJson, parse_json
from shared.problems import problems

router = new_router(prefix="/v1/webhooks/calendar", tags=["calendar webhooks"])

_LIFECYCLE: Final[Mapping[str, What]] = {
    "missed": "changed",
    "reauthorizationRequired": "must_renew",
    "subscriptionRemoved": "removed",
}
_Token = Annotated[
    str | None,
    # Nothing that a browser could take for markup is ever sent back.
    Query(alias="validationToken", max_length=1024, pattern="^[^<>&\"'`]*$"),
]
_LONGEST_SECRET = 256
_HEADERS = [
    {
        "in": "header",
        "name": name,
        "schema": {"type": "string"},
        "description": description,
    }
    for name, description in (
        ("X-Goog-Channel-ID", "The channel's id."),
        ("X-Goog-Channel-Token", "The channel's secret."),
        ("X-Goog-Resource-State", "`sync` when the channel has just been opened."),
    )
]
_NOTIFICATIONS: dict[str, Any] = {
    "requestBody": {
        "description": 'Without `validationToken`: `{"value": [...]}` with messages of one or '
        "several subscriptions, each with the `clientState` of its own.",
        "content": {"application/json": {"schema": {}}},
    }
}
_ECHO: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The `validationToken`, and nothing else.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    },
    202: {"description": "At least one of the messages is from a channel of ours."},
}


@router.post(
    "/google",
    status_code=204,
    responses=problems(ChannelNotFound),
    openapi_extra={"parameters": _HEADERS},
)
async def hear_from_google(request: Request, db: SqlTransaction) -> Response:
    """Something has changed in a calendar at Google; the body is not read."""
    channel_id = _uuid(request.headers.get("x-goog-channel-id", ""))
    secret = request.headers.get("x-goog-channel-token", "")
    is_opened = request.headers.get("x-goog-resource-state") == "sync"
    if channel_id is None or len(secret) > _LONGEST_SECRET:
        raise ChannelNotFound
    what: What = "opened" if is_opened else "changed"
    await hear(db, "google", [Message(channel_id, secret, what)])
    return Response(status_code=204)


@router.post(
    "/microsoft",
    response_class=PlainTextResponse,
    responses=problems(ChannelNotFound) | _ECHO,
    openapi_extra=_NOTIFICATIONS,
)
async def hear_from_microsoft(
    request: Request, db: SqlTransaction, validation_token: _Token = None
) -> Response:
    """Something has changed in calendars at Microsoft, or a subscription is being made."""
    return await _hear_from_graph(request, db, validation_token)


@router.post(
    "/microsoft/lifecycle",
    response_class=PlainTextResponse,
    responses=problems(ChannelNotFound) | _ECHO,
    openapi_extra=_NOTIFICATIONS,
)
async def hear_of_subscriptions_from_microsoft(
    request: Request, db: SqlTransaction, validation_token: _Token = None
) -> Response:
    """A subscription at Microsoft has to be renewed or made anew, or has missed something."""
    return await _hear_from_graph(request, db, validation_token)


async def _hear_from_graph(
    request: Request, db: SqlTransaction, validation_token: str | None
) -> Response:
    if validation_token is not None:
        return PlainTextResponse(validation_token)
    try:
        body = parse_json(await request.body())
    except InvalidJson:
        raise ChannelNotFound from None
    value = body.get("value") if isinstance(body, dict) else None
    elements = value if isinstance(value, list) else []
    messages = [found for each in elements if (found := _message(each)) is not None]
    await hear(db, "microsoft", messages)
    return Response(status_code=202)


def _message(element: Any) -> Message | None:
    if not isinstance(element, dict):
        return None
    state, event = element.get("clientState"), element.get("lifecycleEvent")
    if not isinstance(state, str) or len(state) > _LONGEST_SECRET:
        return None
    id_, _, secret = state.partition(".")
    channel_id = _uuid(id_)
    if channel_id is None:
        return None
    return Message(channel_id, secret, _LIFECYCLE.get(str(event), "changed"))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
