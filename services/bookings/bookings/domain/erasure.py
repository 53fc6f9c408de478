"""A patient's erasure: why it was asked for, and how far it has come."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from bookings.domain.appointment import Actor

ReasonCode = Literal["patient_request", "account_closed", "legal_obligation", "created_by_mistake"]

AWAITED = ("availability", "calendar-sync", "notifications", "reservations")
"""The services that have to say that they are done; an erasure remembers those of its own time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    id: UUID
    patient_id: UUID
    version: int
    requested_by: Actor
    reason_code: str
    requested_at: datetime
    cancelled_appointments: int
    confirmed_at: Mapping[str, datetime | None]
    """By service, bookings included; None while nothing has been heard."""

    @property
    def completed_at(self) -> datetime | None:
        """When the last of the services was done; None while one is not."""
        known = [at for at in self.confirmed_at.values() if at is not None]
        return max(known) if len(known) == len(self.confirmed_at) else None
