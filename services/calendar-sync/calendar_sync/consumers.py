"""What calendar-sync learns from the other services.

An older event never overwrites a newer one, in whatever order they arrive.
"""

from dataclasses import astuple

from calendar_sync.entries import Entry
from calendar_sync.personal_data import erase_patient
from calendar_sync.sync.following import end_connections, follow_appointment, follow_zone
from shared.db import Connection
from shared.erasures import erasing
from shared.events.booking import (
    AppointmentEvent,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingNoShow,
    BookingRequested,
    BookingRescheduled,
)
from shared.events.envelope import Event
from shared.events.erasure import CalendarPatientErased
from shared.events.patient import PatientDeleted
from shared.events.provider import ProviderDeleted, ProviderUpdated
from shared.messaging import Handlers

_SAVE = """
    INSERT INTO entries (id, version, provider_id, user_id, starts_at, ends_at, status, mode,
        provider_name, service_title, location_name, location_address, created_at, changed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    ON CONFLICT (id) DO UPDATE
    SET version = excluded.version, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
        status = excluded.status, mode = excluded.mode, provider_name = excluded.provider_name,
        service_title = excluded.service_title, location_name = excluded.location_name,
        location_address = excluded.location_address, changed_at = excluded.changed_at
    WHERE entries.version < excluded.version
    RETURNING true
"""


async def save_entry(db: Connection, event: Event[AppointmentEvent]) -> None:
    entry = Entry.of(event.data)
    if entry is not None and await db.fetchval(_SAVE, *astuple(entry)):
        await follow_appointment(db, event.data)


async def save_provider(db: Connection, event: Event[ProviderUpdated]) -> None:
    before = await db.fetchval(
        """
        WITH known AS (SELECT timezone FROM providers WHERE id = $1)
        INSERT INTO providers (id, version, name, timezone, is_deleted)
        VALUES ($1, $2, $3, $4, false)
        ON CONFLICT (id) DO UPDATE
        SET version = excluded.version, name = excluded.name, timezone = excluded.timezone,
            is_deleted = false
        WHERE providers.version < excluded.version
        RETURNING (SELECT timezone FROM known)
        """,
        event.data.id,
        event.data.version,
        event.data.name,
        event.data.timezone,
    )
    if before not in (None, event.data.timezone):
        await follow_zone(db, event.data.id)


async def retire_provider(db: Connection, event: Event[ProviderDeleted]) -> None:
    is_news = await db.fetchval(
        """
        INSERT INTO providers (id, version, name, timezone, is_deleted)
        VALUES ($1, $2, '', 'UTC', true)
        ON CONFLICT (id) DO UPDATE SET version = excluded.version, is_deleted = true
        WHERE providers.version < excluded.version
        RETURNING true
        """,
        event.data.id,
        event.data.version,
    )
    if is_news:
        await end_connections(db, event.data.id)


HANDLERS: Handlers = {
    BookingRequested: save_entry,
    BookingConfirmed: save_entry,
    BookingRescheduled: save_entry,
    BookingCancelled: save_entry,
    BookingCompleted: save_entry,
    BookingNoShow: save_entry,
    ProviderUpdated: save_provider,
    ProviderDeleted: retire_provider,
    PatientDeleted: erasing(erase_patient, CalendarPatientErased),
}
