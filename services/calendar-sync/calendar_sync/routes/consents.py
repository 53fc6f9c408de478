"""Consents to use a Google or Microsoft calendar: the way there and the way back."""

import asyncio
import re
from uuid import UUID

import orjson
from fastapi import Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from calendar_sync.access import check_owner
from calendar_sync.calendars.contract import CalendarError, Credentials, Temporary
from calendar_sync.calendars.oauth import ConsentedKind
from calendar_sync.consent_page import HEADERS, page, place
from calendar_sync.consents import COOKIE_PATH, Journey, cookie_of
from calendar_sync.refusals import (
    CalendarKindOff,
    CalendarUnreachable,
    ConnectionEnding,
    ConnectionNotFound,
    ConsentDenied,
    ConsentFailed,
    ConsentNotFound,
    OtherAccount,
    ProviderNotFound,
    ScopesMissing,
    TooManyConnections,
)
from calendar_sync.routes.settings import CalendarKinds, Db, Settings
from calendar_sync.schemas.consents import ComeBack, ConsentIn, ConsentKind, ConsentOut
from calendar_sync.settings import CalendarSyncSettings
from calendar_sync.use_cases.connect import Opened
from calendar_sync.use_cases.consent import (
    LASTS,
    Consent,
    Wish,
    begin_consent,
    connect_consented,
    take_consent,
)
from shared.app import new_router
from shared.auth import CurrentUser
from shared.db import Connection, Database
from shared.errors import DomainError
from shared.fields import FromQuery, Id
from shared.idempotency import (
    IdempotencyKeyInvalid,
    IdempotencyKeyReused,
    OnceIfKeyed,
    RequestInProgress,
)
from shared.observability import logger
from shared.problems import problems, status_of

router = new_router(prefix="/v1", tags=["calendar connections"])

_PATIENCE = 20.0
"""Seconds for everything that is asked of the provider; less than the gateway's."""
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PLACES = {"google": "Google Calendar", "microsoft": "Microsoft 365"}


@router.post(
    "/providers/{provider_id}/calendar-connections/oauth/{kind}/start",
    response_model=ConsentOut,
    responses=problems(
        ProviderNotFound,
        ConnectionNotFound,
        ConnectionEnding,
        CalendarKindOff,
        IdempotencyKeyInvalid,
        RequestInProgress,
        IdempotencyKeyReused,
    ),
)
async def start_calendar_consent(
    provider_id: Id,
    kind: ConsentKind,
    once: OnceIfKeyed,
    user: CurrentUser,
    settings: Settings,
    kinds: CalendarKinds,
    body: ConsentIn | None = None,
) -> Response:
    """Send the browser that has asked for this to `authorizationUrl`: in no other one, known by a
    cookie, can the consent be finished. It is good once and for ten minutes."""
    check_owner(user, provider_id)
    reached = _kind(kinds.consented.get(kind))
    connection_id = body.connection_id if body else None
    wish = Wish(kind, provider_id, user.id, connection_id)
    secret = settings.calendar_link_secret.get_secret_value()

    async def begin(db: Connection) -> bytes:
        id_ = await begin_consent(db, wish, secret=secret, vault=settings.vault)
        return orjson.dumps({"id": str(id_)})

    # What is kept for a repeated request holds no secret; they are put in on the way out.
    made = await once.in_sql(begin)
    if made.status_code != 200:
        return made
    journey = Journey.of(UUID(orjson.loads(made.body)["id"]), secret)
    url = reached.oauth.authorization_url(
        state=journey.state,
        challenge=journey.challenge,
        redirect_uri=_redirect_uri(settings, kind),
    )
    answer = ConsentOut(authorization_url=url).model_dump_json(by_alias=True)
    headers = {name: value for name, value in made.headers.items() if name != "content-length"}
    response = Response(answer, 200, headers | {"Cache-Control": "no-store"})
    response.set_cookie(
        cookie_of(journey.state),
        journey.browser,
        max_age=int(LASTS.total_seconds()),
        path=COOKIE_PATH,
        secure=settings.public_url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


@router.get(
    "/calendar-connections/oauth/{kind}/callback",
    response_class=HTMLResponse,
    responses=problems(
        ConsentNotFound,
        ProviderNotFound,
        ConsentDenied,
        ConsentFailed,
        ScopesMissing,
        OtherAccount,
        TooManyConnections,
        ConnectionEnding,
        CalendarKindOff,
        CalendarUnreachable,
    )
    | {
        200: {"description": "A page that says that the calendar is connected."},
        303: {
            "description": "To the front end, where one is set, with `calendar=connected` and "
            "`connectionId`, or with `calendar=refused` and a `code`."
        },
    },
)
async def finish_calendar_consent(
    kind: ConsentKind,
    came: FromQuery[ComeBack],
    request: Request,
    database: Db,
    settings: Settings,
    kinds: CalendarKinds,
) -> Response:
    """Where the provider sends the browser. It is the standard's exception to what a GET may do:
    the consent is taken up once, and only in the browser that has begun it."""
    front_end = str(settings.calendar_return_url) if settings.calendar_return_url else None
    cookie = cookie_of(came.state)
    try:
        id_ = await _finish(
            _kind(kinds.consented.get(kind)),
            kind,
            came,
            request.cookies.get(cookie, ""),
            database,
            settings,
        )
        response = _connected(front_end, id_)
    except DomainError as refusal:
        if front_end is None and "text/html" not in request.headers.get("accept", ""):
            raise
        response = _refused(front_end, refusal)
    response.delete_cookie(cookie, path=COOKIE_PATH)
    return response


async def _finish(
    reached: ConsentedKind,
    kind: ConsentKind,
    came: ComeBack,
    browser: str,
    database: Database,
    settings: CalendarSyncSettings,
) -> UUID:
    async with database.transaction() as db:
        consent = await take_consent(
            db, kind, state=came.state, browser=browser, vault=settings.vault
        )
    if came.error or not came.code:
        word = came.error if _WORD.fullmatch(came.error) else "no code"
        raise ConsentDenied(f"The provider says: {word}.")
    opened = await _opened(reached, consent, came.code, _redirect_uri(settings, kind))
    async with database.transaction() as db:
        id_ = await connect_consented(db, consent.wish, opened, settings.vault)
    logger.info(
        "calendar_connected",
        connection=str(id_),
        provider_id=str(consent.wish.provider_id),
        by=str(consent.wish.started_by),
    )
    return id_


async def _opened(reached: ConsentedKind, consent: Consent, code: str, redirect_uri: str) -> Opened:
    newest: list[Credentials] = []

    async def save(renewed: Credentials) -> None:
        newest.append(renewed)

    try:
        async with asyncio.timeout(_PATIENCE):
            first = await reached.oauth.exchange(
                code, verifier=consent.verifier, redirect_uri=redirect_uri
            )
            newest.append(first)
            async with reached.open(first, save) as account:
                owner, calendars = await account.owner(), await account.calendars()
    except (Temporary, TimeoutError) as error:
        raise CalendarUnreachable(retry_after=30) from error
    except CalendarError as error:
        if error.reason == "scopes_missing":
            raise ScopesMissing from error
        raise ConsentFailed from error
    return Opened(
        kind=reached.name,
        account=owner,
        place=_PLACES[consent.wish.kind],
        identity=owner.lower(),
        credentials=newest[-1],
        calendars=calendars,
    )


def _kind(found: ConsentedKind | None) -> ConsentedKind:
    if found is None:
        raise CalendarKindOff
    return found


def _redirect_uri(settings: CalendarSyncSettings, kind: ConsentKind) -> str:
    return f"{settings.public_origin}{COOKIE_PATH}/{kind}/callback"


def _connected(front_end: str | None, id_: UUID) -> Response:
    if front_end is not None:
        return _to(place(front_end, calendar="connected", connectionId=str(id_)))
    text = "You can close this page. Appointments and busy times will follow in a moment."
    return HTMLResponse(page("The calendar is connected", text), headers=HEADERS)


def _refused(front_end: str | None, refusal: DomainError) -> Response:
    if front_end is not None:
        return _to(place(front_end, calendar="refused", code=refusal.code))
    text = page(refusal.title, f"{refusal.detail} ({refusal.code})")
    return HTMLResponse(text, status_of(type(refusal)), headers=HEADERS)


def _to(url: str) -> Response:
    return RedirectResponse(url, 303, headers={**HEADERS})
