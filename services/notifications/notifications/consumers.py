"""What notifications learns from the other services."""

from notifications.domain.news import Party
from notifications.use_cases import erase_contact, follow_appointment, save_contact
from shared.db import Connection
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
from shared.events.patient import PatientDeleted, PatientUpdated
from shared.events.provider import ProviderDeleted, ProviderUpdated
from shared.messaging import Handlers


async def appointment_changed(db: Connection, event: Event[AppointmentEvent]) -> None:
    await follow_appointment(db, event.data)


async def patient_updated(db: Connection, event: Event[PatientUpdated]) -> None:
    await save_contact(db, Party.PATIENT, event.data)


async def provider_updated(db: Connection, event: Event[ProviderUpdated]) -> None:
    await save_contact(db, Party.PROVIDER, event.data)


async def patient_deleted(db: Connection, event: Event[PatientDeleted]) -> None:
    await erase_contact(db, Party.PATIENT, event.data.id, version=event.data.version)


async def provider_deleted(db: Connection, event: Event[ProviderDeleted]) -> None:
    await erase_contact(db, Party.PROVIDER, event.data.id, version=event.data.version)


HANDLERS: Handlers = {
    BookingRequested: appointment_changed,
    BookingConfirmed: appointment_changed,
    BookingRescheduled: appointment_changed,
    BookingCancelled: appointment_changed,
    BookingCompleted: appointment_changed,
    BookingNoShow: appointment_changed,
    PatientUpdated: patient_updated,
    PatientDeleted: patient_deleted,
    ProviderUpdated: provider_updated,
    ProviderDeleted: provider_deleted,
}
