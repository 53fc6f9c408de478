"""End what nobody will confirm or answer: its time is over, or its owner has let it go."""

from uuid import UUID

from bookings import ledger, queries
from bookings.domain.appointment import SYSTEM, Actor, ActorType, Appointment, Cancellation
from bookings.domain.decisions import is_overdue
from bookings.domain.lifecycle import Action, Status
from shared.db import Connection


async def end_if_overdue(db: Connection, appointment_id: UUID) -> bool:
    """Free what an overdue hold or request claims; False when it is neither, or not yet over."""
    found = await queries.locked(db, appointment_id)
    if found is None or not is_overdue(found.appointment, now=found.now):
        return False
    is_hold = found.appointment.status is Status.HELD
    await _end(db, found, Action.HOLD_EXPIRED if is_hold else Action.PENDING_EXPIRED, by=SYSTEM)
    return True


async def release_hold(
    db: Connection, appointment_id: UUID, *, token_hash: bytes, by: UUID | None = None
) -> bool:
    """Let a hold go on its owner's word; False when it stands under another token by now."""
    found = await queries.locked_under(db, token_hash)
    if found is None or found.appointment.id != appointment_id:
        return False
    if found.appointment.status is not Status.HELD:
        return False
    await _end(db, found, Action.HOLD_RELEASED, by=_owner(found.appointment, by))
    return True


async def release_by(db: Connection, appointment_id: UUID, *, by: Actor) -> None:
    """Let a hold go that came to nothing; whatever is no longer held stays as it is."""
    found = await queries.locked(db, appointment_id)
    if found is not None and found.appointment.status is Status.HELD:
        await _end(db, found, Action.HOLD_RELEASED, by=by)


async def expire_due_holds(db: Connection, *, limit: int = 200) -> int:
    """End holds whose time is over, oldest first; any number of workers share the work."""
    return await _expire_due(db, Status.HELD, "hold_expires_at", limit)


async def expire_due_requests(db: Connection, *, limit: int = 200) -> int:
    """End requests that nobody has answered in time, likewise."""
    return await _expire_due(db, Status.PENDING, "pending_expires_at", limit)


async def _expire_due(db: Connection, status: Status, deadline: str, limit: int) -> int:
    # The status is no parameter: the plan needs it, to use the partial index.
    due = await db.fetch(
        f"""
        SELECT id FROM appointments
        WHERE status = '{status}' AND {deadline} <= now()
        ORDER BY {deadline} LIMIT $1 FOR UPDATE SKIP LOCKED
        """,
        limit,
    )
    for row in due:
        await end_if_overdue(db, row["id"])
    return len(due)


def _owner(hold: Appointment, by: UUID | None) -> Actor:
    """Whoever made the reservation: the patient, or somebody of the provider for them."""
    if by in (None, hold.patient_id):
        return Actor(ActorType.PATIENT, hold.patient_id)
    return Actor(ActorType.PROVIDER if by == hold.provider_id else ActorType.ADMIN, by)


async def _end(db: Connection, found: queries.Found, action: Action, *, by: Actor) -> Appointment:
    ended = found.appointment.moved(
        action,
        now=found.now,
        cancellation=Cancellation(
            at=found.now, cause=action.value, by=by, reason=None, fee_cents=0
        ),
    )
    return await ledger.move(db, ended, action, by=by)
