"""An appointment as its people see it, and what they send about it."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

import asyncpg
from pydantic import Field

from bookings.domain import policy
from bookings.domain.appointment import Actor, Appointment
from bookings.domain.calendar_links import calendar_links
from bookings.domain.options import allowed_actions, fee_now_cents
from shared.fields import (
    Answer,
    Body,
    Email,
    Id,
    Instant,
    Name,
    Note,
    Phone,
    Text,
)
from shared.idempotency import KeyedBody

TokenText = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{32}$", min_length=32, max_length=32)]


class Participant(Body):
    """Somebody who comes along: a parent, an interpreter."""

    name: Name
    email: Email | None = None
    phone: Phone | None = None
    relation: Annotated[str, Text(50)] | None = None


class ConfirmIn(KeyedBody):
    reservation_token: TokenText
    reason: Annotated[str, Text(500)] | None = None
    notes: Note | None = None
    participants: Annotated[list[Participant], Field(max_length=10)] = Field(default_factory=list)


class RescheduleIn(KeyedBody):
    reservation_token: TokenText
    reason: Annotated[str, Text(500)] | None = None


class OverrideIn(Body):
    """Why staff book outside the rules; it stays in the audit trail."""

    reason: Annotated[str, Text(500)]


class ProviderBookingIn(KeyedBody):
    """``reservationToken`` of an offered timeslot, or ``override`` with service and start."""

    patient_id: Id
    reservation_token: TokenText | None = None
    service_id: Id | None = None
    start: Instant | None = None
    mode: Literal["in_person", "video", "phone"] | None = None
    location_id: Id | None = None
    room_id: Id | None = None
    reason: Annotated[str, Text(500)] | None = None
    notes: Note | None = None
    override: OverrideIn | None = None


class CancelIn(KeyedBody):
    reason: Annotated[str, Text(500)] | None = None


class CancellationPolicyOut(Answer):
    """Cancelling is free until ``refundableUntil`` and costs the patient ``feeCents`` afterwards,
    until ``cancellableUntil``; ``feeNowCents`` is what it costs the caller now, null when they
    cannot cancel."""

    refundable_until: Instant
    cancellable_until: Instant
    fee_cents: int
    fee_now_cents: int | None


class CancellationOut(Answer):
    at: Instant
    cause: str
    by_type: str
    by_id: UUID | None
    reason: str | None
    fee_cents: int


class ParticipantOut(Answer):
    name: str
    email: str | None = None
    phone: str | None = None
    relation: str | None = None


class AuditOut(Answer):
    """One entry of the audit trail; ``sequence`` counts without gaps from 1."""

    id: UUID
    appointment_id: UUID
    sequence: int
    action: str
    actor_type: str
    actor_id: UUID | None
    occurred_at: Instant
    metadata: dict[str, object]

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        return cls(**dict(row))


class CalendarLinksOut(Answer):
    """Where an appointment is put into one's own calendar; ``ics`` is a path of this API."""

    google: str
    outlook: str
    ics: str


class AppointmentOut(Answer):
    id: UUID
    user_id: UUID
    provider_id: UUID
    provider_name: str
    service_id: UUID
    service_title: str
    timeslot_id: str
    start: Instant
    end: Instant
    status: Literal["held", "pending", "confirmed", "completed", "cancelled", "no_show"]
    mode: Literal["in_person", "video", "phone"]
    location_id: UUID | None
    location_name: str | None
    location_address: str | None
    room_id: UUID | None
    price_cents: int
    currency: str
    reason: str | None
    notes: str | None
    decision_reason: str | None
    source: str
    hold_expires_at: Instant | None
    pending_expires_at: Instant | None
    patient_timezone: str
    provider_timezone: str
    cancellation_policy: CancellationPolicyOut
    cancellation: CancellationOut | None
    rescheduled_from: UUID | None
    rescheduled_to: UUID | None
    reschedule_count: int
    allowed_actions: list[str]
    participants: list[ParticipantOut]
    calendar_links: CalendarLinksOut | None
    version: int
    created_at: Instant
    updated_at: Instant
    server_time: Instant
    audit: list[AuditOut] | None = None

    @classmethod
    def of(
        cls,
        appointment: Appointment,
        *,
        by: Actor,
        now: datetime,
        audit: list[AuditOut] | None = None,
    ) -> Self:
        """The appointment as ``by`` may see it at ``now``."""
        terms = appointment.terms
        cancelled = appointment.cancellation
        costs = policy.cancellation_policy(appointment)
        links = calendar_links(appointment)
        return cls(
            id=appointment.id,
            user_id=appointment.patient_id,
            provider_id=appointment.provider_id,
            provider_name=terms.provider_name,
            service_id=appointment.service_id,
            service_title=terms.service_title,
            timeslot_id=appointment.timeslot_id,
            start=appointment.start,
            end=appointment.end,
            status=appointment.status.value,
            mode=appointment.mode,
            location_id=appointment.location_id,
            location_name=terms.location_name,
            location_address=terms.location_address,
            room_id=appointment.room_id,
            price_cents=terms.price_cents,
            currency=terms.currency,
            reason=appointment.reason,
            notes=appointment.notes,
            decision_reason=appointment.decision_reason,
            source=appointment.source,
            hold_expires_at=appointment.hold_expires_at,
            pending_expires_at=appointment.pending_expires_at,
            patient_timezone=appointment.patient_timezone,
            provider_timezone=appointment.provider_timezone,
            cancellation_policy=CancellationPolicyOut(
                refundable_until=costs.refundable_until,
                cancellable_until=costs.cancellable_until,
                fee_cents=costs.fee_cents,
                fee_now_cents=fee_now_cents(appointment, by=by, now=now),
            ),
            cancellation=cancelled
            and CancellationOut(
                at=cancelled.at,
                cause=cancelled.cause,
                by_type=cancelled.by.type.value,
                by_id=cancelled.by.id,
                reason=cancelled.reason,
                fee_cents=cancelled.fee_cents,
            ),
            rescheduled_from=appointment.rescheduled_from,
            rescheduled_to=appointment.rescheduled_to,
            reschedule_count=appointment.reschedule_count,
            allowed_actions=allowed_actions(appointment, by=by, now=now),
            participants=[ParticipantOut(**person) for person in appointment.participants],
            calendar_links=links and CalendarLinksOut(**links._asdict()),
            version=appointment.version,
            created_at=appointment.created_at,
            updated_at=appointment.updated_at,
            server_time=now,
            audit=audit,
        )


class RefundOut(Answer):
    refundable: bool
    fee_cents: int
    refund_cents: int
    currency: str


class CancelledOut(Answer):
    appointment: AppointmentOut
    refund: RefundOut


class AuditTrailOut(Answer):
    items: list[AuditOut]


class DecisionIn(KeyedBody):
    """The provider's decision; the reason is shown to the patient."""

    reason: Annotated[str, Text(500)] | None = None
