"""How an appointment stands in its table."""

from typing import Any
from uuid import UUID

import asyncpg

from bookings.domain.appointment import (
    Actor,
    ActorType,
    Appointment,
    Cancellation,
    Claim,
    Terms,
)
from bookings.domain.lifecycle import Status

REST_OF_A = """
ARRAY(
    SELECT (c.resource_id, c.kind, min(lower(c.period)), max(upper(c.period)))
    FROM claims c WHERE c.appointment_id = a.id AND NOT isempty(c.period)
    GROUP BY c.resource_id, c.kind ORDER BY c.resource_id
) AS claims,
a.rescheduled_from IS NOT NULL AND EXISTS (
    SELECT FROM appointments origin
    WHERE origin.id = a.rescheduled_from AND origin.status IN ('pending', 'confirmed')
) AS origin_stands
"""
"""What ``appointment_of`` expects beside the row of an appointment ``a``.

Its claims, one for each unit; of a move that waits, around what the old appointment still claims
(0011). And whether that one still stands.
"""


def row_of(appointment: Appointment) -> dict[str, Any]:
    """All columns of ``appointments`` but the reservation token's hash, which stays there."""
    cancellation = appointment.cancellation
    return {
        "id": appointment.id,
        "version": appointment.version,
        "status": appointment.status.value,
        "patient_id": appointment.patient_id,
        "provider_id": appointment.provider_id,
        "service_id": appointment.service_id,
        "timeslot_id": appointment.timeslot_id,
        "starts_at": appointment.start,
        "ends_at": appointment.end,
        "mode": appointment.mode,
        "location_id": appointment.location_id,
        "room_id": appointment.room_id,
        "terms": appointment.terms,
        "source": appointment.source,
        "patient_timezone": appointment.patient_timezone,
        "provider_timezone": appointment.provider_timezone,
        "hold_expires_at": appointment.hold_expires_at,
        "pending_expires_at": appointment.pending_expires_at,
        "reason": appointment.reason,
        "notes": appointment.notes,
        "participants": appointment.participants,
        "decision_reason": appointment.decision_reason,
        "cancelled_at": cancellation and cancellation.at,
        "cancellation_cause": cancellation and cancellation.cause,
        "cancellation_reason": cancellation and cancellation.reason,
        "cancelled_by_type": cancellation and cancellation.by.type.value,
        "cancelled_by_id": cancellation and cancellation.by.id,
        "cancellation_fee_cents": cancellation and cancellation.fee_cents,
        "rescheduled_from": appointment.rescheduled_from,
        "rescheduled_to": appointment.rescheduled_to,
        "reschedule_count": appointment.reschedule_count,
        "audit_sequence": appointment.audit_sequence,
        "audit_hash": "\\x" + appointment.audit_hash.hex(),
        "created_at": appointment.created_at,
        "updated_at": appointment.updated_at,
    }


def appointment_of(row: asyncpg.Record) -> Appointment:
    """The appointment behind a row selected as ``a.*`` with ``REST_OF_A``."""
    return Appointment(
        id=row["id"],
        version=row["version"],
        status=Status(row["status"]),
        patient_id=row["patient_id"],
        provider_id=row["provider_id"],
        service_id=row["service_id"],
        timeslot_id=row["timeslot_id"],
        start=row["starts_at"],
        end=row["ends_at"],
        mode=row["mode"],
        location_id=row["location_id"],
        room_id=row["room_id"],
        terms=Terms(**row["terms"]),
        source=row["source"],
        patient_timezone=row["patient_timezone"],
        provider_timezone=row["provider_timezone"],
        hold_expires_at=row["hold_expires_at"],
        pending_expires_at=row["pending_expires_at"],
        reason=row["reason"],
        notes=row["notes"],
        participants=tuple(row["participants"]),
        decision_reason=row["decision_reason"],
        cancellation=_cancellation_of(row),
        rescheduled_from=row["rescheduled_from"],
        rescheduled_to=row["rescheduled_to"],
        reschedule_count=row["reschedule_count"],
        audit_sequence=row["audit_sequence"],
        audit_hash=row["audit_hash"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        claims=tuple(Claim(*claim) for claim in row["claims"]),
        origin_stands=row["origin_stands"],
    )


def _cancellation_of(row: asyncpg.Record) -> Cancellation | None:
    if row["cancelled_at"] is None:
        return None
    by_id: UUID | None = row["cancelled_by_id"]
    return Cancellation(
        at=row["cancelled_at"],
        cause=row["cancellation_cause"],
        by=Actor(ActorType(row["cancelled_by_type"]), by_id),
        reason=row["cancellation_reason"],
        fee_cents=row["cancellation_fee_cents"],
    )
