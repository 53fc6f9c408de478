"""An appointment as calendars show it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from shared.events.booking import AppointmentEvent


class Status(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


class Mode(StrEnum):
    IN_PERSON = "in_person"
    VIDEO = "video"
    PHONE = "phone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The newest that is known of an appointment; it counts every version as a revision."""

    id: UUID
    version: int
    provider_id: UUID
    user_id: UUID
    starts_at: datetime
    ends_at: datetime
    status: Status
    mode: Mode
    provider_name: str
    service_title: str
    location_name: str | None
    location_address: str | None
    created_at: datetime
    changed_at: datetime

    @classmethod
    def of(cls, appointment: AppointmentEvent) -> Self | None:
        """None for a hold, and for one that ended as a hold: nobody ever had it in a calendar."""
        if appointment.status == "held" or _ended_as_hold(appointment):
            return None
        return cls(
            id=appointment.id,
            version=appointment.version,
            provider_id=appointment.provider_id,
            user_id=appointment.user_id,
            starts_at=appointment.start,
            ends_at=appointment.end,
            status=Status(appointment.status),
            mode=Mode(appointment.mode),
            provider_name=appointment.provider_name,
            service_title=appointment.service_title,
            location_name=appointment.location_name,
            location_address=appointment.location_address,
            created_at=appointment.created_at,
            changed_at=appointment.updated_at,
        )


def _ended_as_hold(appointment: AppointmentEvent) -> bool:
    # Confirming a hold, or submitting it, takes its deadline away.
    return appointment.status == "cancelled" and appointment.hold_expires_at is not None
