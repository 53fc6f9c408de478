"""Connections as their owner sees them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from calendar_sync.refusals import ConnectionNotFound
from calendar_sync.schemas.connections import CalendarOut, ConnectionOut, TroubleOut
from shared.db import Connection

_CONNECTIONS = """
SELECT id, kind, account, place, state, read_at AS last_sync_at, last_error, last_error_at,
    CASE WHEN state = 'broken' THEN NULL ELSE next_visit_at END AS next_try_at,
    created_at, tentative_is_busy, on_drift,
    CASE WHEN state <> 'connected' THEN state WHEN failures > 0 THEN 'failing'
        WHEN read_at IS NULL THEN 'new' ELSE 'healthy' END AS health
FROM connections
WHERE provider_id = $1 AND ($2::uuid IS NULL OR id = $2)
ORDER BY created_at, id
"""
_CALENDARS = """
SELECT connection_id, id, name, timezone, is_writable, is_primary, is_busy, is_target, is_gone,
    read_at, (
        SELECT count(*) FROM external_events
        WHERE calendar_id = calendars.id AND problem IS NOT NULL
    ) AS unreadable_events
FROM calendars WHERE connection_id = ANY ($1::uuid[])
ORDER BY is_primary DESC, name, id
"""
_TROUBLE = """
SELECT connection_id, appointment_id, drift, last_error AS failure,
    coalesce(drift_at, attempted_at) AS since
FROM written_events LEFT JOIN entries ON entries.id = appointment_id
WHERE connection_id = ANY ($1::uuid[]) AND (drift IS NOT NULL OR failures > 0)
ORDER BY entries.starts_at, written_events.id
LIMIT 50
"""


async def connections_of(db: Connection, provider_id: UUID) -> list[ConnectionOut]:
    """Oldest first, those that are being disconnected included."""
    return await _shown(db, await db.fetch(_CONNECTIONS, provider_id, None))


async def connection_of(db: Connection, provider_id: UUID, id_: UUID) -> ConnectionOut:
    """Raises ConnectionNotFound, also for another provider's."""
    found = await _shown(db, await db.fetch(_CONNECTIONS, provider_id, id_))
    if not found:
        raise ConnectionNotFound
    return found[0]


async def _shown(db: Connection, rows: Sequence[Any]) -> list[ConnectionOut]:
    ids = [row["id"] for row in rows]
    calendars: dict[UUID, list[CalendarOut]] = defaultdict(list)
    trouble: dict[UUID, list[TroubleOut]] = defaultdict(list)
    for row in await db.fetch(_CALENDARS, ids):
        calendars[row["connection_id"]].append(CalendarOut(**dict(row)))
    for row in await db.fetch(_TROUBLE, ids):
        trouble[row["connection_id"]].append(TroubleOut(**dict(row)))
    return [
        ConnectionOut(**dict(row), calendars=calendars[row["id"]], trouble=trouble[row["id"]])
        for row in rows
    ]
