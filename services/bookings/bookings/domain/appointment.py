"""An appointment as bookings knows it, and what was agreed when it was made."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from bookings.domain.lifecycle import ACTIVE, Action, Status, after


class ActorType(StrEnum):
    PATIENT = "patient"
    PROVIDER = "provider"
    ADMIN = "admin"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something; the system itself has no id."""

    type: ActorType
    id: UUID | None = None


SYSTEM = Actor(ActorType.SYSTEM)


@dataclass(frozen=True, slots=True)
class Terms:
    """The provider's and the service's rules as they were when the time was picked.

    Later edits of the service change no appointment that exists. Lengths are minutes, money is
    minor units of ``currency``, the fee in percent is of the price.
    """

    provider_name: str
    service_title: str
    location_name: str | None
    location_address: str | None
    buffer_before_minutes: int
    buffer_after_minutes: int
    price_cents: int
    currency: str
    requires_approval: bool
    allow_patient_reschedule: bool
    max_reschedule_count: int
    min_notice_minutes: int
    max_future_days: int
    free_until_minutes: int
    fee_cents: int
    fee_percent: int
    cutoff_minutes: int
    hold_seconds: int = 120


@dataclass(frozen=True, slots=True)
class Claim:
    """One resource, locked for ``[start, end)`` with the buffers included; empty, it locks none."""

    resource_id: UUID
    kind: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Cancellation:
    at: datetime
    cause: str
    by: Actor
    reason: str | None
    fee_cents: int


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody has written beside an appointment; a ``provider`` one is not the patient's."""

    id: UUID
    visibility: str
    author: Actor
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    id: UUID
    version: int
    status: Status
    patient_id: UUID
    provider_id: UUID
    service_id: UUID
    timeslot_id: str
    start: datetime
    end: datetime
    mode: str
    location_id: UUID | None
    room_id: UUID | None
    terms: Terms
    source: str
    patient_timezone: str
    provider_timezone: str
    created_at: datetime
    updated_at: datetime
    claims: tuple[Claim, ...] = ()
    hold_expires_at: datetime | None = None
    pending_expires_at: datetime | None = None
    reason: str | None = None
    notes: str | None = None
    participants: tuple[dict[str, Any], ...] = ()
    decision_reason: str | None = None
    """The provider's own words on their newest decision: approved, completed, no-show."""
    cancellation: Cancellation | None = None
    rescheduled_from: UUID | None = None
    origin_stands: bool = False
    """What it was made to replace (``rescheduled_from``) is still the patient's appointment."""
    rescheduled_to: UUID | None = None
    reschedule_count: int = 0
    audit_sequence: int = 0
    audit_hash: bytes = b""

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE

    def moved(self, action: Action, *, now: datetime, **changes: Any) -> "Appointment":
        """The appointment after ``action``; once it has ended it claims nothing any more."""
        status = after(self.status, action)
        claims = self.claims if status in ACTIVE else ()
        return replace(
            self,
            status=status,
            version=self.version + 1,
            updated_at=now,
            claims=claims,
            **changes,
        )


def claims_in_full(appointment: Appointment, units: Iterable[tuple[UUID, str]]) -> list[Claim]:
    """What the appointment locks of these units when nothing else of the same move locks it."""
    start, end = claimed_range(
        appointment.start,
        appointment.end,
        before_minutes=appointment.terms.buffer_before_minutes,
        after_minutes=appointment.terms.buffer_after_minutes,
    )
    return [Claim(unit_id, kind, start, end) for unit_id, kind in units]


def claimed_range(
    start: datetime, end: datetime, *, before_minutes: int, after_minutes: int
) -> tuple[datetime, datetime]:
    """The half-open range that an appointment locks, its buffers included."""
    return start - timedelta(minutes=before_minutes), end + timedelta(minutes=after_minutes)
