"""What availability learns from bookings (who has claimed what, and until when) and calendars."""

from availability.notes import noted
from availability.use_cases.calendars import (
    ConnectionEvent,
    follow_connection,
    replace_busy_times,
)
from availability.use_cases.imports import follow_import
from shared.db import Connection
from shared.erasures import erasing
from shared.events.booking import (
    AppointmentEvent,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingHeld,
    BookingNoShow,
    BookingRequested,
    BookingRescheduled,
)
from shared.events.calendar import (
    CalendarBusyChanged,
    CalendarConnectionBroken,
    CalendarConnectionConnected,
    CalendarConnectionDeleted,
    CalendarImportDeleted,
    CalendarImported,
)
from shared.events.envelope import Event
from shared.events.erasure import AvailabilityPatientErased
from shared.events.patient import PatientDeleted
from shared.idempotency import erase_answers
from shared.messaging import Handlers

# Consumers take turns. A batch is about several providers, in any order, and each change moves its
# provider's version: without turns two copies of the worker would wait for each other.
# What is deleted below must be what is there after the wait, so it is a statement of its own.
_SAVE = """
INSERT INTO appointments (id, version, status, provider_id, user_id, service_id, timeslot_id, mode,
    location_id, room_id, starts_at, ends_at, hold_expires_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
FROM (SELECT pg_advisory_xact_lock(hashtext('availability.claims'))) AS turn
ON CONFLICT (id) DO UPDATE
SET version = excluded.version, status = excluded.status, location_id = excluded.location_id,
    room_id = excluded.room_id, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
    hold_expires_at = excluded.hold_expires_at
WHERE appointments.version < excluded.version
RETURNING true
"""
_CLAIM = f"""
WITH before AS (
    SELECT starts_at, ends_at FROM claims WHERE appointment_id = $1
), gone AS (
    DELETE FROM claims WHERE appointment_id = $1 AND resource_id <> ALL ($4::uuid[])
), there AS (
    INSERT INTO claims
        (appointment_id, provider_id, hold_expires_at, resource_id, kind, starts_at, ends_at)
    SELECT $1, $2, $3, claim.*
    FROM unnest($4::uuid[], $5::text[], $6::timestamptz[], $7::timestamptz[]) AS claim
    ON CONFLICT (appointment_id, resource_id) DO UPDATE
    SET hold_expires_at = excluded.hold_expires_at,
        starts_at = excluded.starts_at, ends_at = excluded.ends_at
    RETURNING starts_at, ends_at
), changed AS (
    SELECT min(starts_at) AS starts_at, max(ends_at) AS ends_at FROM before HAVING count(*) > 0
    UNION
    SELECT min(starts_at), max(ends_at) FROM there HAVING count(*) > 0
), told AS (
    INSERT INTO schedule_changes (provider_id, starts_at, ends_at)
    SELECT $2, starts_at, ends_at FROM changed
)
UPDATE schedule_versions SET version = version + 1, notes = {noted("changed")}
WHERE provider_id = $2
"""


async def follow_appointment(db: Connection, event: Event[AppointmentEvent]) -> None:
    """The appointment's claims as of its newest version; an ended one has none."""
    appointment = event.data
    hold_expires_at = appointment.hold_expires_at if appointment.status == "held" else None
    is_news = await db.fetchval(
        _SAVE,
        appointment.id,
        appointment.version,
        appointment.status,
        appointment.provider_id,
        appointment.user_id,
        appointment.service_id,
        appointment.timeslot_id,
        appointment.mode,
        appointment.location_id,
        appointment.room_id,
        appointment.start,
        appointment.end,
        hold_expires_at,
    )
    if not is_news:
        return
    claims = appointment.claims
    await db.execute(
        _CLAIM,
        appointment.id,
        appointment.provider_id,
        hold_expires_at,
        [claim.resource_id for claim in claims],
        [claim.kind for claim in claims],
        [claim.start for claim in claims],
        [claim.end for claim in claims],
    )


async def follow_busy_times(db: Connection, event: Event[CalendarBusyChanged]) -> None:
    await replace_busy_times(db, event.data)


async def follow_calendar(db: Connection, event: Event[ConnectionEvent]) -> None:
    await follow_connection(db, event.data)


async def follow_calendar_import(
    db: Connection, event: Event[CalendarImported | CalendarImportDeleted]
) -> None:
    await follow_import(db, event.data)


HANDLERS: Handlers = {
    BookingHeld: follow_appointment,
    BookingRequested: follow_appointment,
    BookingConfirmed: follow_appointment,
    BookingRescheduled: follow_appointment,
    BookingCancelled: follow_appointment,
    BookingCompleted: follow_appointment,
    BookingNoShow: follow_appointment,
    CalendarBusyChanged: follow_busy_times,
    CalendarConnectionConnected: follow_calendar,
    CalendarConnectionBroken: follow_calendar,
    CalendarConnectionDeleted: follow_calendar,
    CalendarImported: follow_calendar_import,
    CalendarImportDeleted: follow_calendar_import,
    PatientDeleted: erasing(erase_answers, AvailabilityPatientErased),
}
"""Of patients only ids and times are here, which stay; and what was answered to them."""
