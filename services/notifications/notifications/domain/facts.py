"""What a message may say of an appointment.

No contact data, which is looked up when the message leaves; no service, reason or notes, which may
tell of an illness to whoever reads the mail over a shoulder.
"""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from shared.events.booking import AppointmentEvent, CancellationCause
from shared.events.provider import Mode


class Facts(BaseModel):
    """Kept with the job as JSON; fields are only ever added, with a default."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    appointment_id: UUID
    patient_id: UUID
    patient_timezone: str
    provider_id: UUID
    provider_name: str
    provider_timezone: str
    start: datetime
    end: datetime
    mode: Mode
    location_name: str | None = None
    location_address: str | None = None
    pending_expires_at: datetime | None = None
    cancellation_cause: CancellationCause | None = None

    @classmethod
    def of(cls, appointment: AppointmentEvent) -> Self:
        return cls(
            appointment_id=appointment.id,
            patient_id=appointment.user_id,
            patient_timezone=appointment.patient_timezone,
            provider_id=appointment.provider_id,
            provider_name=appointment.provider_name,
            provider_timezone=appointment.provider_timezone,
            start=appointment.start,
            end=appointment.end,
            mode=appointment.mode,
            location_name=appointment.location_name,
            location_address=appointment.location_address,
            pending_expires_at=appointment.pending_expires_at,
            cancellation_cause=(
                appointment.cancellation.cause if appointment.cancellation else None
            ),
        )

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")
