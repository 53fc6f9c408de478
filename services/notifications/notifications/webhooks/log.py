"""What has happened that integrators may hear of, and for which endpoints it is queued."""

from collections.abc import Sequence
from datetime import timedelta

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


async def note_appointments(db: Connection, events: Sequence[Event[AppointmentEvent]]) -> None:
    """Log each event once, in their order, and queue it for every endpoint that wants it."""
    told = [event for event in events if is_told(event.data)]
    if not told:
        return
    await db.execute(
        """
        WITH noted AS (
            INSERT INTO webhook_events (id, type, provider_id, occurred_at, data)
            SELECT id, type, provider_id, occurred_at, data
            FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[], $5::jsonb[])
                WITH ORDINALITY AS given (id, type, provider_id, occurred_at, data, place)
            WHERE occurred_at > now() - $6::interval
            ORDER BY place
            ON CONFLICT (id) DO NOTHING
            RETURNING position, type, provider_id
        )
        INSERT INTO webhook_deliveries (id, endpoint_id, position)
        SELECT gen_random_uuid(), endpoint.id, noted.position
        FROM noted JOIN webhook_endpoints endpoint
            ON endpoint.is_enabled AND noted.type = ANY(endpoint.events)
            AND (endpoint.provider_id IS NULL OR endpoint.provider_id = noted.provider_id)
        """,
        [event.id for event in told],
        [event.type for event in told],
        [event.data.provider_id for event in told],
        [event.time for event in told],
        [appointment_facts(event.data) for event in told],
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
