"""Calendar files that a provider imports; they are read, and nothing is written anywhere."""

from datetime import datetime, time, timedelta
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Depends, Request, Response

from calendar_sync.access import check_owner
from calendar_sync.calendars.contract import Window
from calendar_sync.domain.busy import Reader
from calendar_sync.importing import Importer
from calendar_sync.imports import import_of, imports_of
from calendar_sync.refusals import (
    CalendarFileRefused,
    ImportNotFound,
    ImportsBusy,
    ProviderNotFound,
    TooManyImports,
)
from calendar_sync.routes.settings import Db, Settings
from calendar_sync.schemas.imports import ImportIn, ImportOut, ImportsOut
from calendar_sync.use_cases.import_calendar import delete_import, import_calendar
from shared.app import new_router
from shared.auth import CurrentUser
from shared.checked_route import reads_up_to
from shared.db import Connection, SqlReading, SqlTransaction
from shared.fields import Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.problems import problems

router = new_router(prefix="/v1/providers/{provider_id}/calendar-import", tags=["calendar import"])

_DAYS_AHEAD = 400
_MOST_BYTES = 2 * 1024 * 1024
"""A calendar file of a megabyte, written as JSON."""
_NOW_AND_ZONE = "SELECT now(), timezone FROM providers WHERE id = $1 AND NOT is_deleted"


async def _importer(request: Request) -> Importer:
    importer: Importer = request.app.state.importer
    return importer


@router.post(
    "",
    status_code=202,
    response_model=ImportOut,
    responses=problems(
        ProviderNotFound, CalendarFileRefused, ImportsBusy, TooManyImports, *KEY_REFUSALS
    ),
)
@reads_up_to(_MOST_BYTES)
async def create_calendar_import(
    provider_id: Id,
    body: ImportIn,
    once: OnceIfKeyed,
    user: CurrentUser,
    database: Db,
    settings: Settings,
    importer: Annotated[Importer, Depends(_importer)],
) -> Response:
    """Block the times of a calendar file's events, from today on for 400 days, in a moment.

    A changed file under the same name replaces what the earlier one has blocked; the same file
    changes nothing. Days and times without a zone are those of the provider's zone.
    """
    check_owner(user, provider_id)
    async with database.transaction() as db:
        if (earlier := await once.earlier(db)) is not None:
            return earlier
        reader = await _reader(db, provider_id, settings.public_host)
    imported = await importer.read(body.file, reader)
    async with database.transaction() as db:
        if (earlier := await once.earlier(db)) is not None:
            return earlier
        id_ = await import_calendar(db, provider_id, body.name, imported, user=user)
        return await once.keep(
            db,
            await import_of(db, provider_id, id_),
            headers=lambda made: {
                "Location": f"/v1/providers/{provider_id}/calendar-import/{made.id}"
            },
        )


async def _reader(db: Connection, provider_id: UUID, host: str) -> Reader:
    row = await db.fetchrow(_NOW_AND_ZONE, provider_id)
    if row is None:
        raise ProviderNotFound
    now, zone = row
    # Whole days, so that a file says the same all day long.
    today = datetime.combine(now, time.min, now.tzinfo)
    window = Window(today, today + timedelta(days=_DAYS_AHEAD))
    return Reader(zone=ZoneInfo(zone), window=window, host=host)


@router.get("", response_model=ImportsOut, responses=problems(ProviderNotFound))
async def list_calendar_imports(provider_id: Id, db: SqlReading, user: CurrentUser) -> ImportsOut:
    """Oldest first, each with what of it was skipped and why."""
    check_owner(user, provider_id)
    return ImportsOut(items=await imports_of(db, provider_id))


@router.get(
    "/{import_id}",
    response_model=ImportOut,
    responses=problems(ProviderNotFound, ImportNotFound),
)
async def get_calendar_import(
    provider_id: Id, import_id: Id, db: SqlReading, user: CurrentUser
) -> ImportOut:
    """One import."""
    check_owner(user, provider_id)
    return await import_of(db, provider_id, import_id)


@router.delete(
    "/{import_id}",
    status_code=204,
    responses=problems(ProviderNotFound, ImportNotFound),
)
async def delete_calendar_import(
    provider_id: Id, import_id: Id, db: SqlTransaction, user: CurrentUser
) -> None:
    """Take an import back: what it blocked is open again in a moment."""
    check_owner(user, provider_id)
    await delete_import(db, provider_id, import_id, user=user)
