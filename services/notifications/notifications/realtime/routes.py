"""Server-sent events, and the tickets that open them."""

from typing import Any

from fastapi import Request
from fastapi.sse import EventSourceResponse
from starlette.responses import Response

from notifications.realtime import connections
from notifications.realtime.hub import Hub
from notifications.realtime.refusals import ChannelNotFound, TooManyConnections
from notifications.realtime.schemas import TicketOut, Watch
from notifications.realtime.stream import EventStream
from shared.app import new_router
from shared.auth import CurrentUser, InvalidToken, Principal, Unauthenticated, caller
from shared.db import SqlTransaction, database_of
from shared.fields import FromQuery
from shared.observability import note_user
from shared.problems import problems

router = new_router(prefix="/v1/realtime", tags=["realtime"])

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events until either side has enough; `id` resumes as `Last-Event-ID`.",
        "content": {
            "text/event-stream": {
                "itemSchema": {
                    "type": "object",
                    "properties": {
                        "event": {"type": "string"},
                        "data": {"type": "string", "contentMediaType": "application/json"},
                        "id": {"type": "string"},
                        "retry": {"type": "integer", "minimum": 0},
                    },
                }
            }
        },
    }
}


@router.get(
    "",
    response_class=Response,
    responses=_STREAM
    | problems(Unauthenticated, InvalidToken, ChannelNotFound, TooManyConnections),
    openapi_extra={"security": [{"accessToken": []}, {}]},
)
async def watch(request: Request, wanted: FromQuery[Watch]) -> EventSourceResponse:
    """Events of these channels as they happen, for the holder of the access token or ticket.

    After a connection is lost, `Last-Event-ID` (or `lastEventId`) brings what was missed. An event
    `resync` says that this is not known any more: ask for everything again.
    """
    user = await _watcher(request, wanted.ticket)
    for channel in wanted.channels.channels:
        if not channel.may_be_watched_by(user):
            raise ChannelNotFound(f"no such channel: {channel.name}")
    hub = hub_of(request)
    client = await hub.connect()
    try:
        await hub.enter(client, user.id)
        last = request.headers.get("last-event-id") or wanted.last_event_id
        began = await hub.watch_since(client, wanted.channels.names, last)
    except BaseException:
        hub.disconnect(client)
        raise
    return EventStream(hub, client, began)


@router.post("/tickets", status_code=201)
async def issue_ticket(db: SqlTransaction, user: CurrentUser) -> TicketOut:
    """For browsers' EventSource, which sends no headers: opens streams for a minute, and nothing
    else."""
    ticket = await connections.issue_ticket(db, user)
    return TicketOut(ticket=ticket.text, expires_at=ticket.expires_at)


def hub_of(request: Request) -> Hub:
    hub: Hub = request.app.state.realtime
    return hub


async def _watcher(request: Request, ticket: str | None) -> Principal:
    if ticket is None or "authorization" in request.headers:
        return await caller(request)
    async with database_of(request).reading() as db:
        user = await connections.holder_of(db, ticket)
    if user is None:
        raise InvalidToken
    note_user(user.id)
    return user
