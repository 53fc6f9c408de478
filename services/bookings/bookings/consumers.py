"""What bookings learns from the other services."""

from uuid import UUID

from bookings import ledger, queries
from bookings.domain.appointment import SYSTEM
from bookings.domain.lifecycle import Action
from bookings.erasures import note_confirmation
from bookings.use_cases.end_hold import release_hold
from shared.db import Connection
from shared.events.calendar import CalendarEventFailed, CalendarEventWritten
from shared.events.envelope import Event, json_ready
from shared.events.erasure import (
    AvailabilityPatientErased,
    CalendarPatientErased,
    NotificationPatientErased,
    PatientErased,
    ReservationPatientErased,
)
from shared.events.notification import (
    NotificationEvent,
    ReminderFailed,
    ReminderScheduled,
    ReminderSent,
)
from shared.events.provider import (
    AppointmentTypeDeleted,
    AppointmentTypeUpdated,
    ProviderDeleted,
    ProviderUpdated,
    ResourceDeleted,
    ResourceUpdated,
)
from shared.events.reservation import ReservationReleased
from shared.fields import instant_text
from shared.messaging import Handlers

# An older snapshot never overwrites a newer one, in whatever order they arrive.


async def save_provider(db: Connection, event: Event[ProviderUpdated]) -> None:
    provider = event.data
    await db.execute(
        """
        INSERT INTO providers
            (id, version, is_active, completion_policy, completion_grace_minutes, data)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (id) DO UPDATE
        SET version = excluded.version, is_active = excluded.is_active,
            completion_policy = excluded.completion_policy,
            completion_grace_minutes = excluded.completion_grace_minutes, data = excluded.data,
            deleted_at = NULL
        WHERE providers.version < excluded.version
        """,
        provider.id,
        provider.version,
        provider.is_active,
        provider.completion_policy,
        provider.completion_grace_minutes,
        json_ready(provider),
    )


async def save_appointment_type(db: Connection, event: Event[AppointmentTypeUpdated]) -> None:
    service = event.data
    await db.execute(
        """
        INSERT INTO appointment_types (id, version, is_active, provider_id, duration_minutes,
            buffer_before_minutes, buffer_after_minutes, data)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (id) DO UPDATE
        SET version = excluded.version, is_active = excluded.is_active,
            duration_minutes = excluded.duration_minutes,
            buffer_before_minutes = excluded.buffer_before_minutes,
            buffer_after_minutes = excluded.buffer_after_minutes, data = excluded.data
        WHERE appointment_types.version < excluded.version
        """,
        service.id,
        service.version,
        service.is_active,
        service.provider_id,
        service.duration_minutes,
        service.buffer_before_minutes,
        service.buffer_after_minutes,
        json_ready(service),
    )


async def save_resource(db: Connection, event: Event[ResourceUpdated]) -> None:
    resource = event.data
    await db.execute(
        """
        INSERT INTO resources
            (id, version, is_active, provider_id, kind, label, location_id, room_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (id) DO UPDATE
        SET version = excluded.version, is_active = excluded.is_active, label = excluded.label,
            location_id = excluded.location_id, room_id = excluded.room_id
        WHERE resources.version < excluded.version
        """,
        resource.id,
        resource.version,
        resource.is_active,
        resource.provider_id,
        resource.kind,
        resource.label,
        resource.location_id,
        resource.room_id,
    )


# A deletion leaves a tombstone, so that a late snapshot from before it changes nothing.


async def retire_provider(db: Connection, event: Event[ProviderDeleted]) -> None:
    """How they were reached is forgotten. A timer cancels what was booked there: it may be more
    than one transaction should hold."""
    await db.execute(
        """
        INSERT INTO providers (id, version, is_active, data, deleted_at)
        VALUES ($1, $2, false, '{}', now())
        ON CONFLICT (id) DO UPDATE
        SET version = excluded.version, is_active = false, deleted_at = excluded.deleted_at,
            data = excluded.data
        WHERE providers.version < excluded.version
        """,
        event.data.id,
        event.data.version,
    )


async def retire_appointment_type(db: Connection, event: Event[AppointmentTypeDeleted]) -> None:
    await db.execute(
        """
        INSERT INTO appointment_types (id, version, is_active, provider_id, duration_minutes,
            buffer_before_minutes, buffer_after_minutes, data)
        VALUES ($1, $2, false, $3, 0, 0, 0, '{}')
        ON CONFLICT (id) DO UPDATE SET version = excluded.version, is_active = false
        WHERE appointment_types.version < excluded.version
        """,
        event.data.id,
        event.data.version,
        event.data.provider_id,
    )


async def retire_resource(db: Connection, event: Event[ResourceDeleted]) -> None:
    await db.execute(
        """
        INSERT INTO resources (id, version, is_active, provider_id, kind, label)
        VALUES ($1, $2, false, $3, $4, '')
        ON CONFLICT (id) DO UPDATE SET version = excluded.version, is_active = false
        WHERE resources.version < excluded.version
        """,
        event.data.id,
        event.data.version,
        event.data.provider_id,
        event.data.kind,
    )


async def let_go(db: Connection, event: Event[ReservationReleased]) -> None:
    token_hash = bytes.fromhex(event.data.token_hash)
    await release_hold(
        db, event.data.appointment_id, token_hash=token_hash, by=event.data.reserved_by
    )


async def note_erased(db: Connection, event: Event[PatientErased]) -> None:
    service = event.source.removeprefix("/")
    await note_confirmation(db, event.data.erasure_id, service, at=event.time)


_REMINDED: dict[type[NotificationEvent], Action] = {
    ReminderScheduled: Action.REMINDER_SCHEDULED,
    ReminderSent: Action.REMINDER_SENT,
    ReminderFailed: Action.REMINDER_FAILED,
}


async def enter_reminder(db: Connection, event: Event[NotificationEvent]) -> None:
    """Into the appointment's trail, which alone tells who was reminded."""
    told = event.data
    metadata = {
        "notificationId": str(told.notification_id),
        "party": told.party,
        "channel": told.channel,
        "dueAt": instant_text(told.due_at),
    }
    if isinstance(told, ReminderFailed):
        metadata["reason"] = told.reason
    if told.appointment_id is not None:
        await _enter(db, told.appointment_id, _REMINDED[type(told)], metadata)


async def enter_calendar_event(
    db: Connection, event: Event[CalendarEventWritten | CalendarEventFailed]
) -> None:
    """Into the appointment's trail: whether its provider's own calendar shows it."""
    told = event.data
    metadata = {"connectionId": str(told.connection_id), "kind": told.kind}
    if isinstance(told, CalendarEventWritten):
        action = Action.CALENDAR_EVENT_WRITTEN
        metadata["did"] = told.action
    else:
        action = Action.CALENDAR_EVENT_FAILED
        metadata["reason"] = told.reason
    await _enter(db, told.appointment_id, action, metadata)


async def _enter(db: Connection, id_: UUID, action: Action, metadata: dict[str, str]) -> None:
    """What others have done for an appointment; it does not change, and nothing is announced."""
    found = await queries.locked(db, id_)
    if found is not None:
        await ledger.enter(
            db, found.appointment, action, by=SYSTEM, metadata=metadata, at=found.now
        )


HANDLERS: Handlers = {
    ProviderUpdated: save_provider,
    ProviderDeleted: retire_provider,
    AppointmentTypeUpdated: save_appointment_type,
    AppointmentTypeDeleted: retire_appointment_type,
    ResourceUpdated: save_resource,
    ResourceDeleted: retire_resource,
    ReservationReleased: let_go,
    ReminderScheduled: enter_reminder,
    ReminderSent: enter_reminder,
    ReminderFailed: enter_reminder,
    CalendarEventWritten: enter_calendar_event,
    CalendarEventFailed: enter_calendar_event,
    AvailabilityPatientErased: note_erased,
    CalendarPatientErased: note_erased,
    NotificationPatientErased: note_erased,
    ReservationPatientErased: note_erased,
}
