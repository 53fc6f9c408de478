"""Move an appointment to a reserved time."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bookings import ledger, queries
from bookings.access import actor_for, locked_for
from bookings.domain import moves
from bookings.domain.appointment import Actor, Appointment, Note
from bookings.domain.lifecycle import Action
from bookings.refusals import ReservationNotFound
from bookings.use_cases.moves import end_moves_of, put_in_place
from bookings.use_cases.own_time import claim_own_time_beside
from shared.auth import Principal
from shared.db import Connection
from shared.ids import new_id


@dataclass(frozen=True, slots=True)
class Moved:
    """The new appointment, who moved it, and the database's clock."""

    appointment: Appointment
    by: Actor
    now: datetime


async def reschedule_appointment(
    db: Connection, id_: UUID, token_hash: bytes, *, reason: str | None, user: Principal
) -> Moved:
    """The new appointment in the old one's place, or the request for it; asking twice is once.

    Exactly one of both is the patient's appointment at every moment. Where the new time needs
    approval, the old one stays until it is given.
    """
    found, by = await locked_for(user, id_, db)
    held = await queries.locked_under(db, token_hash)
    if held is None or actor_for(user, held.appointment) is None:
        raise ReservationNotFound("no such reservation")
    old, new, now = found.appointment, held.appointment, held.now
    if new.rescheduled_from == old.id and _is_done(old, new):
        return Moved(new, by, now)
    moves.check_movable(old, by=by, now=now)
    moves.check_new_time(old, new, by=by, now=now)
    asks = moves.asks_for_approval(new, by=by)
    action = Action.REQUEST_SUBMITTED if asks else Action.CONFIRMED
    moved = new.moved(
        action,
        now=now,
        patient_timezone=old.patient_timezone,
        reason=old.reason,
        notes=old.notes,
        participants=old.participants,
        hold_expires_at=None,
        pending_expires_at=moves.answer_expiry(old, new, now=now) if asks else None,
        rescheduled_from=old.id,
        origin_stands=True,
        reschedule_count=old.reschedule_count + 1,
    )
    if moves.replaces_at_once(old, new, by=by):
        written = await put_in_place(db, old, moved, action, by=by, now=now, reason=reason)
    else:
        written = await _ask(db, old, moved, by=by, reason=reason)
    return Moved(written, by, now)


def _is_done(old: Appointment, new: Appointment) -> bool:
    """This very move has been made before, or is waiting for its answer."""
    waits = new.is_active and new.hold_expires_at is None
    return old.rescheduled_to == new.id or waits


async def _ask(
    db: Connection, old: Appointment, request: Appointment, *, by: Actor, reason: str | None
) -> Appointment:
    """The request, in the place of any earlier one; the old appointment stays as it is."""
    await end_moves_of(db, old, now=request.updated_at, besides=request.id)
    await claim_own_time_beside(db, request)
    metadata = {"rescheduledFrom": str(old.id)}
    written = await ledger.move(db, request, Action.REQUEST_SUBMITTED, by=by, metadata=metadata)
    if reason is not None:
        note = Note(new_id(), "shared", by, reason, request.updated_at)
        await ledger.add_note(db, written, note)
    return written
