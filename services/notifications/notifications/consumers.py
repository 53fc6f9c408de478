"""What notifications learns from the other services."""

from collections.abc import Sequence

from notifications.domain.news import Party
from notifications.use_cases.appointments import follow_appointments
from notifications.use_cases.calendars import (
    calendar_is_well,
    tell_of_broken_calendar,
    tell_of_conflict,
)
from notifications.use_cases.erase import erase_patient
from notifications.use_cases.people import erase_contact, save_contact
from notifications.webhooks.log import note_appointments
from shared.db import Connection
from shared.events.availability import ConflictFound
from shared.events.booking import (
    AppointmentEvent,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingNoShow,
    BookingRequested,
    BookingRescheduled,
)
from shared.events.calendar import (
    CalendarConnectionBroken,
    CalendarConnectionConnected,
    CalendarConnectionDeleted,
)
from shared.events.envelope import Event
from shared.events.patient import PatientDeleted, PatientUpdated
from shared.events.provider import ProviderDeleted, ProviderUpdated
from shared.messaging import AllTogether, Handlers, InHand


@AllTogether
async def appointments_changed(db: Connection, taken: Sequence[InHand[AppointmentEvent]]) -> None:
    await follow_appointments(db, taken)
    await note_appointments(db, [each.event for each in taken])


async def patient_updated(db: Connection, event: Event[PatientUpdated]) -> None:
    await save_contact(db, Party.PATIENT, event.data)


async def provider_updated(db: Connection, event: Event[ProviderUpdated]) -> None:
    await save_contact(db, Party.PROVIDER, event.data)


async def provider_deleted(db: Connection, event: Event[ProviderDeleted]) -> None:
    await erase_contact(db, Party.PROVIDER, event.data.id, version=event.data.version)


async def conflict_found(db: Connection, event: Event[ConflictFound]) -> None:
    await tell_of_conflict(db, event.data, at=event.time)


async def calendar_broken(db: Connection, event: Event[CalendarConnectionBroken]) -> None:
    await tell_of_broken_calendar(db, event.data, at=event.time)


async def calendar_well(
    db: Connection, event: Event[CalendarConnectionConnected] | Event[CalendarConnectionDeleted]
) -> None:
    await calendar_is_well(db, event.data)


HANDLERS: Handlers = {
    BookingRequested: appointments_changed,
    BookingConfirmed: appointments_changed,
    BookingRescheduled: appointments_changed,
    BookingCancelled: appointments_changed,
    BookingCompleted: appointments_changed,
    BookingNoShow: appointments_changed,
    PatientUpdated: patient_updated,
    PatientDeleted: erase_patient,
    ProviderUpdated: provider_updated,
    ProviderDeleted: provider_deleted,
    ConflictFound: conflict_found,
    CalendarConnectionBroken: calendar_broken,
    CalendarConnectionConnected: calendar_well,
    CalendarConnectionDeleted: calendar_well,
}
