"""Turn a live hold into an appointment, or into a request where the type needs approval."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bookings import ledger, queries
from bookings.domain import decisions, policy
from bookings.domain.appointment import Actor, ActorType, Appointment
from bookings.domain.lifecycle import Action, Status
from bookings.refusals import ReservationNotFound
from bookings.use_cases.contact import check_reachable
from bookings.use_cases.own_time import claim_own_time
from shared.db import Connection
from shared.errors import DomainError
from shared.idempotency import Kept

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
    picked = await queries.locked_picked(db, token_hash)
    if picked is None or picked.appointment.patient_id != user_id:
        raise ReservationNotFound("no such reservation")
    if picked.appointment.status in _ALREADY:
        return queries.Found(picked.appointment, picked.now)
    by = Actor(ActorType.PATIENT, user_id)
    moved, action = _decided(picked, details, by)
    await claim_own_time(db, moved)
    return queries.Found(await ledger.move(db, moved, action, by=by), picked.now)


async def confirm_at_once(
    db: Connection,
    token_hash: bytes,
    details: Details,
    *,
    user_id: UUID,
    kept: Callable[[queries.Found], Kept],
) -> bool:
    """The same in one statement that keeps the answer as well; False when nothing has happened.

    It looks without a lock and writes only if nobody has changed the hold since. Whatever stands
    in its way is for ``confirm_appointment`` to clear or to explain.
    """
    picked = await queries.picked(db, token_hash)
    if picked is None or picked.appointment.patient_id != user_id:
        return False
    by = Actor(ActorType.PATIENT, user_id)
    try:
        moved, action = _decided(picked, details, by)
    except DomainError:
        return False
    return await ledger.confirm(
        db, moved, action, by=by, kept=kept(queries.Found(moved, picked.now))
    )


def _decided(picked: queries.Picked, details: Details, by: Actor) -> tuple[Appointment, Action]:
    hold, now = picked.appointment, picked.now
    action = decisions.confirm(hold, by=by, now=now)
    contact = check_reachable(hold.patient_id, picked.contact)
    moved = hold.moved(
        action,
        now=now,
        patient_timezone=contact.timezone,
        reason=details.reason,
        notes=details.notes,
        participants=details.participants,
        hold_expires_at=None,
        pending_expires_at=policy.pending_expiry(hold.start, now=now)
        if action is Action.REQUEST_SUBMITTED
        else None,
    )
    return moved, action
