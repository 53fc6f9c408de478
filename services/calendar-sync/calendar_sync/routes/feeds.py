"""Calendar files, a provider's feed, and the links under which applications subscribe to it."""

import asyncio
from typing import Any

from fastapi import Request, Response

from calendar_sync import ics, links, queries
from calendar_sync.access import check_owner, wording_for
from calendar_sync.feeds import Feed, is_known
from calendar_sync.refusals import (
    AppointmentNotFound,
    FeedLinkNotFound,
    FeedNotFound,
    ProviderNotFound,
    TooManyFeedLinks,
)
from calendar_sync.routes.settings import Db, Settings
from calendar_sync.schemas.feeds import (
    FeedLinkIn,
    FeedLinkOut,
    FeedLinksOut,
    LinkToken,
    NewFeedLinkOut,
)
from calendar_sync.settings import CalendarSyncSettings
from shared.app import new_router
from shared.auth import CurrentUser
from shared.db import Reading, SqlReading, Transaction
from shared.fields import Id
from shared.idempotency import (
    IdempotencyKeyInvalid,
    IdempotencyKeyReused,
    OnceIfKeyed,
    RequestInProgress,
)
from shared.problems import problems

router = new_router(prefix="/v1", tags=["calendar"])


class CalendarFile(Response):
    media_type = "text/calendar"


_FEED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The feed. Pending appointments are TENTATIVE, and cancelled ones stay for "
        "14 days as CANCELLED. It goes 90 days back and has no end.",
        "headers": {"ETag": {"schema": {"type": "string"}}},
    },
    304: {"description": "The feed is the one whose `ETag` came in `If-None-Match`."},
}


@router.get(
    "/appointments/{appointment_id}/calendar.ics",
    response_class=CalendarFile,
    responses=problems(AppointmentNotFound)
    | {200: {"description": "The appointment as a calendar file with one event."}},
)
async def get_calendar_file(
    appointment_id: Id, db: SqlReading, user: CurrentUser, settings: Settings
) -> Response:
    """An appointment to put into a calendar; its patient is told more than its provider."""
    entry = await queries.entry(db, appointment_id)
    wording = wording_for(user, entry) if entry else None
    if entry is None or wording is None:
        raise AppointmentNotFound
    return CalendarFile(
        ics.single(entry, wording, host=settings.public_host),
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": 'attachment; filename="appointment.ics"',
        },
    )


@router.get(
    "/providers/{provider_id}/calendar-feed",
    response_class=CalendarFile,
    responses=problems(ProviderNotFound) | _FEED,
)
async def get_calendar_feed(
    provider_id: Id, request: Request, database: Db, user: CurrentUser, settings: Settings
) -> Response:
    """The provider's appointments as a calendar, in words that anybody may read."""
    check_owner(user, provider_id)
    async with database.reading() as db:
        feed = await queries.feed_of(db, provider_id)
    if feed is None:
        raise ProviderNotFound
    return await _answer(feed, request, settings)


@router.get(
    "/calendar-feeds/{token}.ics",
    response_class=CalendarFile,
    responses=problems(FeedNotFound) | _FEED,
)
async def get_linked_calendar_feed(
    token: LinkToken, request: Request, database: Db, settings: Settings
) -> Response:
    """The same feed for a calendar application, which shows the secret link and no access token."""
    async with database.reading() as db:
        feed = await queries.feed_behind(db, links.hash_of(token))
    if feed is None:
        raise FeedNotFound
    return await _answer(feed, request, settings)


async def _answer(feed: Feed, request: Request, settings: CalendarSyncSettings) -> Response:
    host = settings.public_host
    etag = feed.etag(host)
    headers = {"ETag": etag, "Cache-Control": "private, no-store"}
    if is_known(etag, request.headers.getlist("if-none-match")):
        return Response(status_code=304, headers=headers)
    # In a thread, and with no connection in hand: a long feed takes long to write.
    content = await asyncio.to_thread(feed.written, host)
    return CalendarFile(content, headers=headers)


@router.post(
    "/providers/{provider_id}/calendar-feed/links",
    status_code=201,
    response_model=NewFeedLinkOut,
    responses=problems(
        ProviderNotFound,
        TooManyFeedLinks,
        IdempotencyKeyInvalid,
        RequestInProgress,
        IdempotencyKeyReused,
    ),
)
async def create_feed_link(
    provider_id: Id,
    once: OnceIfKeyed,
    user: CurrentUser,
    settings: Settings,
    body: FeedLinkIn | None = None,
) -> Response:
    """A secret address for one calendar application; revoke it when it may have leaked."""
    check_owner(user, provider_id)
    secret = settings.calendar_link_secret.get_secret_value()

    async def create(db: Transaction) -> bytes:
        link = await links.create_link(
            db, provider_id, label=body.label if body else None, secret=secret
        )
        return FeedLinkOut.model_validate(link).model_dump_json(by_alias=True).encode()

    # What is kept for a repeated request does not hold the address; that is put in on the way out.
    made = await once.in_session(create)
    return _with_url(made, settings) if made.status_code == 201 else made


def _with_url(made: Response, settings: CalendarSyncSettings) -> Response:
    link = FeedLinkOut.model_validate_json(bytes(made.body))
    token = links.token_of(link.id, settings.calendar_link_secret.get_secret_value())
    url = f"{settings.public_origin}/v1/calendar-feeds/{token}.ics"
    shown = NewFeedLinkOut(**link.model_dump(), url=url)
    headers = {name: value for name, value in made.headers.items() if name != "content-length"}
    return Response(shown.model_dump_json(by_alias=True), 201, headers)


@router.get(
    "/providers/{provider_id}/calendar-feed/links",
    response_model=FeedLinksOut,
    responses=problems(ProviderNotFound),
)
async def list_feed_links(provider_id: Id, db: Reading, user: CurrentUser) -> FeedLinksOut:
    """The links that work, oldest first; their addresses are not shown again."""
    check_owner(user, provider_id)
    live = await links.live_links(db, provider_id)
    return FeedLinksOut(items=[FeedLinkOut.model_validate(link) for link in live])


@router.delete(
    "/providers/{provider_id}/calendar-feed/links/{link_id}",
    status_code=204,
    responses=problems(ProviderNotFound, FeedLinkNotFound),
)
async def revoke_feed_link(
    provider_id: Id, link_id: Id, db: Transaction, user: CurrentUser
) -> None:
    """From now on the link opens nothing."""
    check_owner(user, provider_id)
    await links.revoke_link(db, provider_id, link_id)
