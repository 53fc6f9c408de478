"""What every move shares: the new appointment takes the old one's place, and rival moves end."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from bookings import ledger, queries
from bookings.domain.appointment import SYSTEM, Actor, Appointment, Cancellation
from bookings.domain.lifecycle import Action, IllegalTransition, Status
from bookings.refusals import SlotTaken
from bookings.use_cases.own_time import claim_own_time
from shared.db import Connection


async def put_in_place(
    db: Connection,
    old: Appointment,
    new: Appointment,
    action: Action,
    *,
    by: Actor,
    now: datetime,
    reason: str | None = None,
) -> Appointment:
    """The new appointment, already moved by ``action``, instead of the old; both rows are locked.

    The old one lets go first, so that the new one can claim what both need. Whatever refuses that
    undoes everything: the caller's transaction is the whole of the move.
    """
    ended = old.moved(
        Action.RESCHEDULED,
        now=now,
        rescheduled_to=new.id,
        cancellation=Cancellation(at=now, cause="rescheduled", by=by, reason=reason, fee_cents=0),
    )
    await ledger.move(db, ended, Action.RESCHEDULED, by=by, metadata={"rescheduledTo": str(new.id)})
    # Before anything is claimed: an earlier request to move it must not be in the way of this one.
    await end_moves_of(db, ended, now=now)
    claims = await ledger.take_over(db, new)
    if claims is None:
        raise SlotTaken("this time was just taken")
    whole = replace(new, claims=claims, origin_stands=False)
    await claim_own_time(db, whole)
    return await ledger.move(db, whole, action, by=by, metadata={"rescheduledFrom": str(old.id)})


async def replace_origin(
    db: Connection, origin: queries.Found | None, approved: Appointment, *, by: Actor
) -> Appointment | None:
    """The approved request in the place of what it asked to move; None when it stands by itself.

    ``origin`` comes from ``queries.locked_origin``, asked before the request itself was locked.
    """
    if origin is None or origin.appointment.rescheduled_to == approved.id:
        return None
    old = origin.appointment
    if old.status is not Status.CONFIRMED:
        raise IllegalTransition(old.status, Action.RESCHEDULED, appointmentId=old.id)
    return await put_in_place(db, old, approved, Action.APPROVED, by=by, now=approved.updated_at)


async def end_moves_of(
    db: Connection, old: Appointment, *, now: datetime, besides: UUID | None = None
) -> None:
    """End the holds and requests made to replace an appointment, but for the one that does."""
    for found in await queries.locked_moves_of(db, old.id):
        move = found.appointment
        is_hold = move.status is Status.HELD
        if move.id in (old.rescheduled_to, besides):
            continue
        action = Action.HOLD_RELEASED if is_hold else Action.CANCELLED_BY_SYSTEM
        ended = move.moved(
            action,
            now=now,
            cancellation=Cancellation(
                at=now,
                cause="hold_released" if is_hold else "system",
                by=SYSTEM,
                reason=None,
                fee_cents=0,
            ),
        )
        await ledger.move(db, ended, action, by=SYSTEM, metadata={"rescheduledFrom": str(old.id)})
