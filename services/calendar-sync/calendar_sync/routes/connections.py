"""A provider's calendar connections: made, shown, changed, and ended."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar
from urllib.parse import urlsplit

from fastapi import Response

from calendar_sync.access import check_owner
from calendar_sync.calendars.contract import AccessGone, CalendarError, Temporary
from calendar_sync.calendars.kinds import Kinds
from calendar_sync.connections import connection_of, connections_of
from calendar_sync.refusals import (
    AlreadyConnected,
    CalendarRefused,
    CalendarUnreachable,
    ChoiceInvalid,
    ConnectionBroken,
    ConnectionEnding,
    ConnectionNotFound,
    NoPassword,
    ProviderNotFound,
    TooManyConnections,
)
from calendar_sync.routes.settings import CalendarKinds, Db, Settings
from calendar_sync.schemas.connections import (
    CalDavIn,
    ChoiceIn,
    ConnectionIn,
    ConnectionOut,
    ConnectionsOut,
    Ending,
    IcsIn,
    PasswordIn,
)
from calendar_sync.use_cases.choose import choose
from calendar_sync.use_cases.connect import Opened, check_provider, connect, credentials_of, mend
from calendar_sync.use_cases.disconnect import disconnect
from calendar_sync.use_cases.locking import locked
from calendar_sync.use_cases.resync import resync
from shared.app import new_router
from shared.auth import CurrentUser
from shared.db import SqlReading, SqlTransaction
from shared.errors import FieldError
from shared.fields import FromQuery, Id
from shared.idempotency import (
    IdempotencyKeyInvalid,
    IdempotencyKeyReused,
    OnceIfKeyed,
    RequestInProgress,
)
from shared.outside import AddressRefused
from shared.problems import problems

router = new_router(prefix="/v1/providers/{provider_id}", tags=["calendar connections"])

_PATIENCE = 20.0
"""Seconds for trying a login, with all that is looked for; less than the gateway's."""
_KEYED = (IdempotencyKeyInvalid, RequestInProgress, IdempotencyKeyReused)

Tried = TypeVar("Tried")

_WRONG = {
    "login_refused": ("password", "LOGIN_REFUSED", "User name or password were not accepted."),
    "no_caldav_here": ("url", "NO_CALDAV", "There is no calendar server at this address."),
    "no_calendars": ("url", "NO_CALENDARS", "This account has no calendar."),
    "not_a_calendar": ("url", "NOT_A_CALENDAR", "There is no calendar file at this address."),
    "calendar_gone": ("url", "NOT_A_CALENDAR", "There is nothing at this address."),
    "redirected_to_stranger": ("url", "REDIRECTED", "Leads to another domain; write that one."),
}
_NOT_UNDERSTOOD = ("url", "NOT_UNDERSTOOD", "What answers there is not understood.")


@router.post(
    "/calendar-connections",
    status_code=201,
    response_model=ConnectionOut,
    responses=problems(
        ProviderNotFound,
        CalendarRefused,
        CalendarUnreachable,
        AlreadyConnected,
        TooManyConnections,
        *_KEYED,
    ),
)
async def create_calendar_connection(
    provider_id: Id,
    body: ConnectionIn,
    once: OnceIfKeyed,
    user: CurrentUser,
    database: Db,
    settings: Settings,
    kinds: CalendarKinds,
) -> Response:
    """Connect a CalDAV account or a calendar file. Its login is tried before anything is kept."""
    check_owner(user, provider_id)
    async with database.transaction() as db:
        if (earlier := await once.earlier(db)) is not None:
            return earlier
        await check_provider(db, provider_id)
    opened = await _tried(_open(body, kinds))
    async with database.transaction() as db:
        await check_provider(db, provider_id)
        if (earlier := await once.earlier(db)) is not None:
            return earlier
        id_ = await connect(db, provider_id, opened, settings.vault)
        return await once.keep(db, await connection_of(db, provider_id, id_))


async def _open(to: CalDavIn | IcsIn, kinds: Kinds) -> Opened:
    await kinds.outside.check(to.url)
    place = urlsplit(to.url).hostname or ""
    if isinstance(to, IcsIn):
        calendars = await kinds.ics.discover(to.url)
        return Opened(
            kind="ics",
            account=place,
            place=place,
            identity=to.url,
            credentials={"url": to.url},
            calendars=calendars,
        )
    found = await kinds.caldav.discover(to.url, to.username, to.password)
    return Opened(
        kind="caldav",
        account=to.username,
        place=place,
        identity=f"{found.credentials['home']} {to.username}",
        credentials=found.credentials,
        calendars=found.calendars,
    )


async def _tried(opening: Awaitable[Tried]) -> Tried:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await opening
    except AddressRefused as error:
        raise CalendarRefused(errors=[FieldError("url", error.code, str(error))]) from error
    except (Temporary, TimeoutError) as error:
        raise CalendarUnreachable(retry_after=30) from error
    except CalendarError as error:
        reason = "login_refused" if isinstance(error, AccessGone) else error.reason
        raise CalendarRefused(errors=[FieldError(*_WRONG.get(reason, _NOT_UNDERSTOOD))]) from error


@router.get(
    "/calendar-connections", response_model=ConnectionsOut, responses=problems(ProviderNotFound)
)
async def list_calendar_connections(
    provider_id: Id, db: SqlReading, user: CurrentUser
) -> ConnectionsOut:
    """Oldest first, each with its health, its calendars and what troubles it."""
    check_owner(user, provider_id)
    return ConnectionsOut(items=await connections_of(db, provider_id))


@router.get(
    "/calendar-connections/{connection_id}",
    response_model=ConnectionOut,
    responses=problems(ProviderNotFound, ConnectionNotFound),
)
async def get_calendar_connection(
    provider_id: Id, connection_id: Id, db: SqlReading, user: CurrentUser
) -> ConnectionOut:
    """One connection, without anything that opens the account."""
    check_owner(user, provider_id)
    return await connection_of(db, provider_id, connection_id)


@router.patch(
    "/calendar-connections/{connection_id}",
    response_model=ConnectionOut,
    responses=problems(ProviderNotFound, ConnectionNotFound, ConnectionEnding, ChoiceInvalid),
)
async def choose_calendars(
    provider_id: Id, connection_id: Id, body: ChoiceIn, db: SqlTransaction, user: CurrentUser
) -> ConnectionOut:
    """Which calendars make busy, which one is written to, and what becomes of changed events."""
    check_owner(user, provider_id)
    await choose(
        db, provider_id, connection_id, body.model_dump(exclude_unset=True, by_alias=False)
    )
    return await connection_of(db, provider_id, connection_id)


@router.post(
    "/calendar-connections/{connection_id}/resync",
    status_code=202,
    response_model=ConnectionOut,
    responses=problems(
        ProviderNotFound, ConnectionNotFound, ConnectionEnding, ConnectionBroken, *_KEYED
    ),
)
async def resync_calendar_connection(
    provider_id: Id, connection_id: Id, once: OnceIfKeyed, user: CurrentUser
) -> Response:
    """Read everything anew, soon; what is busy stays busy meanwhile."""
    check_owner(user, provider_id)

    async def act(db: SqlTransaction) -> ConnectionOut:
        await resync(db, provider_id, connection_id)
        return await connection_of(db, provider_id, connection_id)

    return await once.in_sql(act)


@router.put(
    "/calendar-connections/{connection_id}/password",
    response_model=ConnectionOut,
    responses=problems(
        ProviderNotFound,
        ConnectionNotFound,
        ConnectionEnding,
        CalendarRefused,
        CalendarUnreachable,
        NoPassword,
    ),
)
async def change_calendar_password(
    provider_id: Id,
    connection_id: Id,
    body: PasswordIn,
    user: CurrentUser,
    database: Db,
    settings: Settings,
    kinds: CalendarKinds,
) -> ConnectionOut:
    """Mends a broken connection, or follows a change of the password. It is tried first."""
    check_owner(user, provider_id)
    async with database.transaction() as db:
        old = await credentials_of(db, provider_id, connection_id, settings.vault)
    found = await _tried(kinds.caldav.discover(old["url"], old["username"], body.password))
    async with database.transaction() as db:
        await locked(db, provider_id, connection_id)
        await mend(db, connection_id, found.credentials, settings.vault)
        return await connection_of(db, provider_id, connection_id)


@router.delete(
    "/calendar-connections/{connection_id}",
    status_code=204,
    responses=problems(ProviderNotFound, ConnectionNotFound),
)
async def disconnect_calendar(
    provider_id: Id,
    connection_id: Id,
    ending: FromQuery[Ending],
    db: SqlTransaction,
    user: CurrentUser,
) -> None:
    """Its busy times do not count from now on. What is left to do at the provider follows; the
    connection is shown as ``disconnecting`` until then."""
    check_owner(user, provider_id)
    await disconnect(db, provider_id, connection_id, remove_events=ending.remove_events)
