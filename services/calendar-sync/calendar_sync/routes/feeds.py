"""Calendar files, people's feeds, and the links under which applications subscribe to it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from calendar_sync import ics, links, queries
from calendar_sync.access import check_is, missing, wording_for
from calendar_sync.feeds import Feed, is_known
from calendar_sync.refusals import (
    AppointmentNotFound,
    FeedLinkNotFound,
    FeedNotFound,
    ProviderNotFound,
    TooManyFeedLinks,
    UserNotFound,
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
from shared.auth import CurrentUser, Principal, Role
from shared.db import Reading, SqlReading, Transaction
from shared.errors import NotFound
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
    "/calendar-feeds/{token}.ics",
    response_class=CalendarFile,
    responses=problems(FeedNotFound) | _FEED,
)
async def get_linked_calendar_feed(
    token: LinkToken, request: Request, database: Db, settings: Settings
) -> Response:
    """A feed for a calendar application, which shows the secret link and no access token."""
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


def _with_url(made: Response, settings: CalendarSyncSettings) -> Response:
    link = FeedLinkOut.model_validate_json(bytes(made.body))
    token = links.token_of(link.id, settings.calendar_link_secret.get_secret_value())
    url = f"{settings.public_origin}/v1/calendar-feeds/{token}.ics"
    shown = NewFeedLinkOut(**link.model_dump(), url=url)
    headers = {name: value for name, value in made.headers.items() if name != "content-length"}
    return Response(shown.model_dump_json(by_alias=True), 201, headers)


def _add_feed_of(
    path: str,
    owner_of: Callable[..., Awaitable[Principal]],
    stranger: type[NotFound],
    *,
    whose: str = "",
) -> None:
    """The feed and its links: the same for everybody who has appointments.

    ``owner_of`` reads the owner from the path, and refuses everybody but them and admins.
    """

    @router.get(
        f"{path}/calendar-feed",
        name=f"get_{whose}calendar_feed",
        response_class=CalendarFile,
        responses=problems(stranger) | _FEED,
    )
    async def get_calendar_feed(
        owner: Annotated[Principal, Depends(owner_of)],
        request: Request,
        database: Db,
        settings: Settings,
    ) -> Response:
        """The appointments as a calendar, in words that anybody may read."""
        async with database.reading() as db:
            feed = await queries.feed_of(db, owner)
        if feed is None:
            raise missing(owner)
        return await _answer(feed, request, settings)

    @router.post(
        f"{path}/calendar-feed/links",
        name=f"create_{whose}feed_link",
        status_code=201,
        response_model=NewFeedLinkOut,
        responses=problems(
            stranger,
            TooManyFeedLinks,
            IdempotencyKeyInvalid,
            RequestInProgress,
            IdempotencyKeyReused,
        ),
    )
    async def create_feed_link(
        owner: Annotated[Principal, Depends(owner_of)],
        once: OnceIfKeyed,
        settings: Settings,
        body: FeedLinkIn | None = None,
    ) -> Response:
        """A secret address for one calendar application; revoke it when it may have leaked.

        Its words are those that anybody may read, unless it is made with ``detailed``.
        """
        wanted = body or FeedLinkIn()
        secret = settings.calendar_link_secret.get_secret_value()

        async def create(db: Transaction) -> bytes:
            link = await links.create_link(
                db, owner, label=wanted.label, detailed=wanted.detailed, secret=secret
            )
            return FeedLinkOut.model_validate(link).model_dump_json(by_alias=True).encode()

        # What is kept for a repeated request does not hold the address; that is put in on the way
        # out.
        made = await once.in_session(create)
        return _with_url(made, settings) if made.status_code == 201 else made

    @router.get(
        f"{path}/calendar-feed/links",
        name=f"list_{whose}feed_links",
        response_model=FeedLinksOut,
        responses=problems(stranger),
    )
    async def list_feed_links(
        owner: Annotated[Principal, Depends(owner_of)], db: Reading
    ) -> FeedLinksOut:
        """The links that work, oldest first; their addresses are not shown again."""
        live = await links.live_links(db, owner)
        return FeedLinksOut(items=[FeedLinkOut.model_validate(link) for link in live])

    @router.delete(
        f"{path}/calendar-feed/links/{{link_id}}",
        name=f"revoke_{whose}feed_link",
        status_code=204,
        responses=problems(stranger, FeedLinkNotFound),
    )
    async def revoke_feed_link(
        owner: Annotated[Principal, Depends(owner_of)], link_id: Id, db: Transaction
    ) -> None:
        """From now on the link opens nothing."""
        await links.revoke_link(db, owner, link_id)


async def _provider(provider_id: Id, user: CurrentUser) -> Principal:
    owner = Principal(provider_id, Role.PROVIDER)
    check_is(user, owner)
    return owner


async def _patient(user_id: Id, user: CurrentUser) -> Principal:
    owner = Principal(user_id, Role.PATIENT)
    check_is(user, owner)
    return owner


_add_feed_of("/providers/{provider_id}", _provider, ProviderNotFound)
_add_feed_of("/users/{user_id}", _patient, UserNotFound, whose="patients_")
