"""What may be told of an appointment outside: ids, status, times. No names, notes or reasons."""

from typing import Any
from uuid import UUID

from shared.events.booking import AppointmentEvent
from shared.fields import instant_text

_NOBODYS_BUSINESS = frozenset({"hold_released", "hold_expired"})


def is_told(event: AppointmentEvent) -> bool:
    """A hold that ends was never anything to tell."""
    return event.cancellation is None or event.cancellation.cause not in _NOBODYS_BUSINESS


def appointment_facts(event: AppointmentEvent) -> dict[str, Any]:
    """``version`` tells which of two is the later one, in whatever order they arrive."""
    return {
        "appointmentId": str(event.id),
        "version": event.version,
        "status": event.status,
        "cause": event.cancellation and event.cancellation.cause,
        "userId": str(event.user_id),
        "providerId": str(event.provider_id),
        "serviceId": str(event.service_id),
        "timeslotId": event.timeslot_id,
        "start": instant_text(event.start),
        "end": instant_text(event.end),
        "rescheduledFrom": _id(event.rescheduled_from),
        "rescheduledTo": _id(event.rescheduled_to),
    }


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)
