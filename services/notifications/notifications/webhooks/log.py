"""What has happened that integrators may hear of, and for which endpoints it is queued."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from notifications.appointment_facts import appointment_facts, is_told
from shared.db import Connection
from shared.events.booking import AppointmentEvent
from shared.events.envelope import Event

TYPES = (
    "booking.requested",
    "booking.confirmed",
    "booking.rescheduled",
    "booking.cancelled",
    "booking.completed",
    "booking.no_show",
)
TEST_TYPE = "webhook.test"
KEPT_FOR = timedelta(days=30)

_NEWS = timedelta(days=1)
"""What a replayed history tells of longer ago is no news; who wants it replays the log."""

_CHUNK = 1000


async def note_appointment(db: Connection, event: Event[AppointmentEvent]) -> None:
    """Log the event once, and queue it for every endpoint that wants it."""
    if is_told(event.data):
        await _note(
            db,
            id_=event.id,
            type_=event.type,
            provider_id=event.data.provider_id,
            occurred_at=event.time,
            data=appointment_facts(event.data),
        )


async def _note(
    db: Connection,
    *,
    id_: UUID,
    type_: str,
    provider_id: UUID,
    occurred_at: datetime,
    data: Mapping[str, Any],
) -> None:
    await db.execute(
        """
        WITH noted AS (
            INSERT INTO webhook_events (id, type, provider_id, occurred_at, data)
            SELECT $1, $2, $3, $4, $5 WHERE $4 > now() - $6::interval
            ON CONFLICT (id) DO NOTHING
            RETURNING position, type, provider_id
        )
        INSERT INTO webhook_deliveries (id, endpoint_id, position)
        SELECT gen_random_uuid(), endpoint.id, noted.position
        FROM noted JOIN webhook_endpoints endpoint
            ON endpoint.is_enabled AND noted.type = ANY(endpoint.events)
            AND (endpoint.provider_id IS NULL OR endpoint.provider_id = noted.provider_id)
        """,
        id_,
        type_,
        provider_id,
        occurred_at,
        data,
        _NEWS,
    )


async def forget_old(db: Connection) -> bool:
    """A timer's tick: events past their retention, with their deliveries; True if more are left."""
    gone = await db.execute(
        """
        DELETE FROM webhook_events WHERE position IN (
            SELECT position FROM webhook_events WHERE occurred_at < now() - $1::interval LIMIT $2
        )
        """,
        KEPT_FOR,
        _CHUNK,
    )
    return int(gone.split()[-1]) == _CHUNK
