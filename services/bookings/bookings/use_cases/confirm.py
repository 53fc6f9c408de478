"""Turn a live hold into an appointment, or into a request where the type needs approval."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bookings import ledger, queries
from bookings.domain import policy
from bookings.domain.appointment import Actor, ActorType, Appointment
from bookings.domain.lifecycle import Action, Status
from bookings.refusals import (
    ContactDetailsMissing,
    HoldExpired,
    PatientBusy,
    ReservationNotFound,
)
from shared.db import Connection
from shared.errors import FieldError

_ALREADY = frozenset({Status.CONFIRMED, Status.PENDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What the patient adds when confirming."""

    reason: str | None = None
    notes: str | None = None
    participants: tuple[dict[str, Any], ...] = ()


async def confirm_appointment(
    db: Connection, token_hash: bytes, details: Details, *, user_id: UUID
) -> queries.Found:
    """The appointment, ``confirmed`` or ``pending``; asking twice is the same as asking once."""
    found = await queries.locked_under(db, token_hash)
    if found is None or found.appointment.patient_id != user_id:
        raise ReservationNotFound("no such reservation")
    hold, now = found.appointment, found.now
    if hold.status in _ALREADY:
        return found
    if hold.hold_expires_at is None or now >= hold.hold_expires_at:
        raise HoldExpired("this reservation is over; pick the time again")
    timezone = await _reachable(db, user_id)
    action = Action.REQUEST_SUBMITTED if hold.terms.requires_approval else Action.CONFIRMED
    moved = hold.moved(
        action,
        now=now,
        patient_timezone=timezone,
        reason=details.reason,
        notes=details.notes,
        participants=details.participants,
        hold_expires_at=None,
        pending_expires_at=policy.pending_expiry(hold.start, now=now)
        if action is Action.REQUEST_SUBMITTED
        else None,
    )
    await _claim_own_time(db, moved)
    written = await ledger.move(db, moved, action, by=Actor(ActorType.PATIENT, user_id))
    return queries.Found(written, now)


async def _reachable(db: Connection, patient_id: UUID) -> str:
    """The patient's timezone; raises ContactDetailsMissing when nobody could tell them anything."""
    row = await db.fetchrow(
        "SELECT name, email, phone, timezone FROM patients WHERE id = $1", patient_id
    )
    missing = []
    if row is None or not row["name"]:
        missing.append(FieldError("name", "MISSING", "a name is needed"))
    if row is None or not (row["email"] or row["phone"]):
        missing.append(FieldError("email", "MISSING", "an e-mail address or a phone is needed"))
    if row is None or missing:
        raise ContactDetailsMissing(
            f"complete the profile first: PATCH /v1/patients/{patient_id}",
            errors=missing,
            missing=[field.path for field in missing],
        )
    timezone: str = row["timezone"]
    return timezone


async def _claim_own_time(db: Connection, appointment: Appointment) -> None:
    """Nobody is booked in two places at once, whoever the providers are."""
    if await ledger.claim_patient_time(db, appointment):
        return
    other = await queries.rival_of_patient(db, appointment)
    raise PatientBusy("there is another appointment at that time", appointmentId=other)
