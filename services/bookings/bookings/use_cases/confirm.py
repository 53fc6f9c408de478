"""Turn a live hold into an appointment, or into a request where the type needs approval."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bookings import ledger, queries
from bookings.domain import decisions, policy
from bookings.domain.appointment import Actor, ActorType
from bookings.domain.lifecycle import Action, Status
from bookings.refusals import ContactDetailsMissing, ReservationNotFound
from bookings.use_cases.own_time import claim_own_time
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
    by = Actor(ActorType.PATIENT, user_id)
    action = decisions.confirm(hold, by=by, now=now)
    timezone = await timezone_of_reachable(db, user_id)
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
    await claim_own_time(db, moved)
    written = await ledger.move(db, moved, action, by=by)
    return queries.Found(written, now)


async def timezone_of_reachable(db: Connection, patient_id: UUID) -> str:
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
