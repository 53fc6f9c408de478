"""What connected clients are told of, from a queue of its own: letters hold nobody up."""

from notifications.realtime.telling import is_recent, tell_of_appointment, tell_of_availability
from shared.db import Connection
from shared.events.availability import AvailabilityChanged
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
from shared.messaging import Handlers

QUEUE = "notifications-realtime"


async def appointment_changed(db: Connection, event: Event[AppointmentEvent]) -> None:
    if await is_recent(db, event.time):
        await tell_of_appointment(db, event.data)


async def availability_changed(db: Connection, event: Event[AvailabilityChanged]) -> None:
    if await is_recent(db, event.time):
        await tell_of_availability(db, event.data)


HANDLERS: Handlers = {
    BookingRequested: appointment_changed,
    BookingConfirmed: appointment_changed,
    BookingRescheduled: appointment_changed,
    BookingCancelled: appointment_changed,
    BookingCompleted: appointment_changed,
    BookingNoShow: appointment_changed,
    AvailabilityChanged: availability_changed,
}
