"""Events of ours that somebody has changed in their calendar; the appointment never follows."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from calendar_sync.calendars.contract import ExternalEvent
from calendar_sync.domain.busy import instant_of
from calendar_sync.sync.lease import Lease
from shared.db import Connection
from shared.observability import logger

MOST_REPAIRS = 3
"""So often in a row an event is put right; then somebody, or their calendar, insists."""

_OURS = """
SELECT written.id, external_id, etag, written.starts_at, written.ends_at, drift
FROM written_events AS written JOIN entries ON entries.id = appointment_id
WHERE calendar_id = $1 AND external_id = ANY ($2::text[]) AND written_at IS NOT NULL
    AND NOT is_retired AND status = 'confirmed' AND entries.ends_at > now()
"""
_AS_WRITTEN = "UPDATE written_events SET etag = $2, drift = NULL, drift_at = NULL WHERE id = $1"
_DRIFTED = """
UPDATE written_events
SET drift = $2, drift_at = now(), etag = NULL,
    handled_version = CASE WHEN $3 AND repairs < $4 THEN NULL ELSE handled_version END,
    written_hash = CASE WHEN $3 AND repairs < $4 THEN NULL ELSE written_hash END,
    repairs = CASE WHEN $3 THEN repairs + 1 ELSE repairs END
WHERE id = $1
"""


async def look_for_drift(
    db: Connection,
    lease: Lease,
    calendar_id: UUID,
    events: Mapping[str, ExternalEvent],
    zone: ZoneInfo,
) -> None:
    """Notes what has become of our own events; where it is so set, they will be put right."""
    for row in await db.fetch(_OURS, calendar_id, list(events)):
        event = events[row["external_id"]]
        if row["etag"] is not None and event.etag == row["etag"]:
            continue
        found = drift_of(event, (row["starts_at"], row["ends_at"]), zone)
        if found is None:
            await db.execute(_AS_WRITTEN, row["id"], event.etag)
        elif found != row["drift"] or lease.on_drift == "repair":
            logger.info("calendar_event_drifted", event_id=str(row["id"]), drift=found)
            repair = lease.on_drift == "repair"
            await db.execute(_DRIFTED, row["id"], found, repair, MOST_REPAIRS)


def drift_of(
    event: ExternalEvent, written: tuple[datetime, datetime], zone: ZoneInfo
) -> str | None:
    """``deleted``, ``changed``, or None while it is at its time, whatever else it says."""
    live = [each for each in event.occurrences if not each.is_cancelled]
    if not live:
        return "deleted"
    times = {(instant_of(each.start, zone), instant_of(each.end, zone)) for each in live}
    return None if times == {written} else "changed"
