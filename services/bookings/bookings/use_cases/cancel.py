"""Cancel an appointment, and say what it costs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from bookings import ledger, queries
from bookings.access import locked_for
from bookings.domain import decisions, policy
from bookings.domain.appointment import SYSTEM, Actor, Appointment, Cancellation
from bookings.use_cases.end_hold import end_if_overdue
from bookings.use_cases.moves import end_moves_of
from shared.auth import Principal
from shared.db import Connection

_NO_LONGER_THERE = "the provider no longer offers appointments here"
_PROVIDER_DELETED = {"because": "provider_deleted"}
_PATIENT_ERASED = {"because": "patient_erased"}


@dataclass(frozen=True, slots=True)
class Cancelled:
    appointment: Appointment
    refund: policy.Refund
    by: Actor
    now: datetime


async def cancel_appointment(
    db: Connection, id_: UUID, *, reason: str | None, user: Principal
) -> Cancelled:
    """The ended appointment and the refund; a patient who cancels a hold lets it go."""
    found, by = await locked_for(user, id_, db)
    return await _cancel(db, found, by=by, reason=reason)


async def cancel_at_deleted_providers(db: Connection, *, limit: int = 50) -> int:
    """Cancel what cannot take place any more, at no cost to the patient, soonest first.

    How many there were; until there are none, more may follow. Any number of workers share the
    work, and one that is stopped in the middle has undone only its last ``limit``.
    """
    due = await queries.due_to_cancel(db, limit=limit)
    for id_ in due:
        found = await queries.locked(db, id_)
        # An earlier one of them may have ended it: the move of an appointment goes with it.
        if found is None or not found.appointment.is_active or await end_if_overdue(db, id_):
            continue
        await _cancel(db, found, by=SYSTEM, reason=_NO_LONGER_THERE, metadata=_PROVIDER_DELETED)
    return len(due)


async def cancel_of_erased_patient(db: Connection, id_: UUID) -> bool:
    """Cancel what nobody will come to any more, at no cost; False when it has ended already."""
    found = await queries.locked(db, id_)
    if found is None or not found.appointment.is_active or await end_if_overdue(db, id_):
        return False
    await _cancel(db, found, by=SYSTEM, reason=None, metadata=_PATIENT_ERASED)
    return True


async def _cancel(
    db: Connection,
    found: queries.Found,
    *,
    by: Actor,
    reason: str | None,
    metadata: dict[str, Any] | None = None,
) -> Cancelled:
    ending = decisions.cancel(found.appointment, by=by, now=found.now)
    cancellation = Cancellation(
        at=found.now, cause=ending.cause, by=by, reason=reason, fee_cents=ending.refund.fee_cents
    )
    ended = found.appointment.moved(ending.action, now=found.now, cancellation=cancellation)
    written = await ledger.move(db, ended, ending.action, by=by, metadata=metadata)
    await end_moves_of(db, written, now=found.now)
    return Cancelled(written, ending.refund, by, found.now)
