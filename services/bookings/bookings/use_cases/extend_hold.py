"""Give a patient more time to confirm what they hold."""

from uuid import UUID

from bookings import ledger, queries
from bookings.domain.appointment import Actor, ActorType
from bookings.domain.lifecycle import Action
from bookings.domain.moves import extended_until
from bookings.refusals import ReservationNotFound
from shared.db import Connection


async def extend_hold(
    db: Connection, id_: UUID, *, token_hash: bytes, by: Actor | None = None
) -> queries.Found:
    """The hold with a later end; ExtensionLimit says how far it goes and when that is reached."""
    found = await queries.locked_under(db, token_hash)
    if found is None or found.appointment.id != id_:
        raise ReservationNotFound("no such reservation")
    hold = found.appointment
    extended = hold.moved(
        Action.HOLD_EXTENDED,
        now=found.now,
        hold_expires_at=extended_until(hold, now=found.now),
    )
    actor = by or Actor(ActorType.PATIENT, hold.patient_id)
    written = await ledger.move(db, extended, Action.HOLD_EXTENDED, by=actor)
    return queries.Found(written, found.now)
