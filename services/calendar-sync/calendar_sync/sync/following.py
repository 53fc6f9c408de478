"""What a change of an appointment, or of its provider, means for the provider's calendars."""

from uuid import UUID

from calendar_sync.sync.lease import nudge
from calendar_sync.use_cases.disconnect import disconnect
from shared.db import Connection
from shared.events.booking import AppointmentEvent

_REPLACES = "UPDATE entries SET replaces = $2 WHERE id = $1"
_CONNECTIONS = """
SELECT DISTINCT connections.id FROM connections
JOIN calendars ON connection_id = connections.id
WHERE provider_id = $1 AND state <> 'disconnecting' AND is_target
"""
# Consumers take turns: a batch is about several providers, in any order, and each nudge locks.
_TURN = "SELECT pg_advisory_xact_lock(hashtext('calendar-sync.appointments'))"
_ALL = "SELECT id FROM connections WHERE provider_id = $1 AND state <> 'disconnecting'"
_READ_ANEW = """
UPDATE calendars SET cursor = NULL, generation = generation + 1
WHERE connection_id = ANY ($1::uuid[])
"""
_HAND_ON = """
UPDATE written_events AS written
SET appointment_id = $2, handled_version = NULL, try_at = NULL
WHERE appointment_id = $1 AND NOT is_retired AND NOT EXISTS (
    SELECT FROM written_events AS other
    WHERE other.appointment_id = $2 AND other.calendar_id = written.calendar_id
        AND NOT other.is_retired
)
"""
_AT_ONCE = """
UPDATE written_events SET try_at = NULL, failures = 0, failure_told = false, repairs = 0
WHERE appointment_id = $1
"""


async def follow_appointment(db: Connection, appointment: AppointmentEvent) -> None:
    """Whoever writes the event is called; a moved appointment hands its event on.

    Which of the two is heard of first, the new one or the end of the old one, makes no difference.
    """
    # A request to move is not the appointment yet: until it is granted the old one stands.
    stands = appointment.status in ("confirmed", "completed", "no_show")
    if appointment.rescheduled_from is not None and stands:
        await db.execute(_REPLACES, appointment.id, appointment.rescheduled_from)
    connections = await db.fetch(_CONNECTIONS, appointment.provider_id)
    if not connections:
        return
    await db.execute(_TURN)
    # Before the events' rows, as everybody locks them in this order.
    await nudge(db, *(row["id"] for row in connections))
    if appointment.rescheduled_from is not None and stands:
        await _hand_on(db, appointment.rescheduled_from, appointment.id)
    if appointment.rescheduled_to is not None:
        await _hand_on(db, appointment.id, appointment.rescheduled_to)
    await db.execute(_AT_ONCE, appointment.id)


async def follow_zone(db: Connection, provider_id: UUID) -> None:
    """The provider's zone has changed: days in calendars without a zone are other times now."""
    ids = [row["id"] for row in await db.fetch(_ALL, provider_id)]
    if ids:
        await db.execute(_TURN)
        await nudge(db, *ids)
        await db.execute(_READ_ANEW, ids)


async def end_connections(db: Connection, provider_id: UUID) -> None:
    """The provider is no more; what was written into their calendars stays there."""
    ids = [row["id"] for row in await db.fetch(_ALL, provider_id)]
    if ids:
        await db.execute(_TURN)
        for id_ in ids:
            await disconnect(db, provider_id, id_, remove_events=False)


async def _hand_on(db: Connection, old: UUID, new: UUID) -> None:
    await db.execute(_HAND_ON, old, new)
