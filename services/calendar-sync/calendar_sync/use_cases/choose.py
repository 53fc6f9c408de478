"""Choose what a connection is for: which calendars make busy, and which one is written to."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from calendar_sync.refusals import ChoiceInvalid
from calendar_sync.sync.keeping import note_months
from calendar_sync.sync.lease import nudge
from calendar_sync.use_cases.locking import locked
from shared.db import Connection
from shared.errors import FieldError

_CALENDARS = "SELECT id, is_writable, is_busy FROM calendars WHERE connection_id = $1"
_STARTS = """
SELECT DISTINCT date_trunc('month', starts_at, 'UTC') FROM external_busy_times
WHERE calendar_id = $1
"""
_FORGET = "DELETE FROM external_events WHERE calendar_id = $1"
_BUSY = """
UPDATE calendars SET is_busy = $2, cursor = NULL, generation = generation + 1, read_at = NULL
WHERE id = $1
"""
_NO_TARGET = "UPDATE calendars SET is_target = false WHERE connection_id = $1 AND is_target"
_TARGET = "UPDATE calendars SET is_target = true WHERE id = $1"
_RETIRE = """
UPDATE written_events SET is_retired = true, try_at = NULL
WHERE connection_id = $1 AND calendar_id IS DISTINCT FROM $2 AND appointment_id IN (
    SELECT id FROM entries WHERE ends_at > now()
)
"""
_SETTINGS = """
UPDATE connections SET tentative_is_busy = $2, on_drift = $3 WHERE id = $1
"""
_ANEW = "UPDATE calendars SET cursor = NULL, generation = generation + 1 WHERE connection_id = $1"


async def choose(db: Connection, provider_id: UUID, id_: UUID, wanted: Mapping[str, Any]) -> None:
    """Only what ``wanted`` names is changed. Busy times of a calendar that is not chosen any more
    go; events of future appointments move to the newly chosen calendar.

    Raises ConnectionNotFound, ConnectionEnding, ChoiceInvalid.
    """
    connection = await locked(db, provider_id, id_)
    calendars = {row["id"]: row for row in await db.fetch(_CALENDARS, id_)}
    busy, target = wanted.get("busy_calendar_ids"), wanted.get("target_calendar_id")
    _check(calendars, busy, target)
    if busy is not None:
        for calendar_id, calendar in calendars.items():
            if calendar["is_busy"] != (calendar_id in busy):
                await _change(db, id_, calendar_id, is_busy=calendar_id in busy)
    if "target_calendar_id" in wanted:
        await db.execute(_NO_TARGET, id_)
        if target is not None:
            await db.execute(_TARGET, target)
        await db.execute(_RETIRE, id_, target)
    tentative = wanted.get("tentative_is_busy")
    if tentative not in (None, connection["tentative_is_busy"]):
        await db.execute(_ANEW, id_)
    await db.execute(
        _SETTINGS,
        id_,
        connection["tentative_is_busy"] if tentative is None else tentative,
        wanted.get("on_drift") or connection["on_drift"],
    )
    await nudge(db, id_)


async def _change(db: Connection, id_: UUID, calendar_id: UUID, *, is_busy: bool) -> None:
    if not is_busy:
        months = [row[0] for row in await db.fetch(_STARTS, calendar_id)]
        await note_months(db, id_, months)
        await db.execute(_FORGET, calendar_id)
    await db.execute(_BUSY, calendar_id, is_busy)


def _check(
    calendars: Mapping[UUID, Any], busy: Collection[UUID] | None, target: UUID | None
) -> None:
    errors = [
        FieldError(f"busyCalendarIds.{place}", "UNKNOWN_CALENDAR", "There is no such calendar.")
        for place, calendar_id in enumerate(busy or ())
        if calendar_id not in calendars
    ]
    if target is not None and target not in calendars:
        errors.append(
            FieldError("targetCalendarId", "UNKNOWN_CALENDAR", "There is no such calendar.")
        )
    elif target is not None and not calendars[target]["is_writable"]:
        errors.append(
            FieldError("targetCalendarId", "READ_ONLY", "This calendar cannot be written to.")
        )
    if errors:
        raise ChoiceInvalid(errors=errors)
