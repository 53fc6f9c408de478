"""End a hold that nobody will confirm: its time is over, or its owner has let it go."""

from uuid import UUID

from bookings import ledger, queries
from bookings.domain.appointment import SYSTEM, Actor, ActorType, Appointment, Cancellation
from bookings.domain.lifecycle import Action, Status
from shared.db import Connection


async def expire_hold(db: Connection, appointment_id: UUID) -> bool:
    """Free what an expired hold claims; False when it is no longer held, or not yet over."""
    found = await queries.locked(db, appointment_id)
    if found is None or found.appointment.status is not Status.HELD:
        return False
    hold = found.appointment
    if hold.hold_expires_at is None or hold.hold_expires_at > found.now:
        return False
    await _end(db, found, Action.HOLD_EXPIRED, by=SYSTEM)
    return True


async def release_hold(db: Connection, appointment_id: UUID, *, token_hash: bytes) -> bool:
    """Let a hold go on its owner's word; False when it stands under another token by now."""
    found = await queries.locked_under(db, token_hash)
    if found is None or found.appointment.id != appointment_id:
        return False
    if found.appointment.status is not Status.HELD:
        return False
    owner = Actor(ActorType.PATIENT, found.appointment.patient_id)
    await _end(db, found, Action.HOLD_RELEASED, by=owner)
    return True


async def expire_due_holds(db: Connection, *, limit: int = 200) -> int:
    """End holds whose time is over, oldest first; any number of workers share the work."""
    due = await db.fetch(
        """
        SELECT id FROM appointments
        WHERE status = 'held' AND hold_expires_at <= now()
        ORDER BY hold_expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
        """,
        limit,
    )
    for row in due:
        await expire_hold(db, row["id"])
    return len(due)


async def _end(db: Connection, found: queries.Found, action: Action, *, by: Actor) -> Appointment:
    ended = found.appointment.moved(
        action,
        now=found.now,
        cancellation=Cancellation(
            at=found.now, cause=action.value, by=by, reason=None, fee_cents=0
        ),
    )
    return await ledger.move(db, ended, action, by=by)
