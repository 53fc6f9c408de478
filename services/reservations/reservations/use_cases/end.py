"""Let a reservation go, or notice that its time is over."""

from reservations import queries
from reservations.models import Status
from reservations.queries import Reservation
from reservations.use_cases.find import locked_reservation
from shared.auth import Principal
from shared.db import Connection
from shared.events.reservation import ReservationEvent, ReservationExpired, ReservationReleased
from shared.messaging import outbox


async def release_reservation(db: Connection, token: str, *, user: Principal) -> None:
    """Let the timeslot go; of one that has ended already there is nothing to let go."""
    reservation = await locked_reservation(db, token, user=user)
    if reservation.status is not Status.ACTIVE:
        return
    ended = await queries.end(db, reservation.id, Status.RELEASED)
    await outbox.put(db, _told(ReservationReleased, ended))


async def expire_due_reservations(db: Connection, *, limit: int = 200) -> int:
    """Mark what is over; bookings frees the time itself, by its own clock."""
    due = await queries.due(db, limit)
    for reservation in due:
        if reservation.status is Status.REQUESTED:
            await queries.forget(db, reservation.id)
        else:
            ended = await queries.end(db, reservation.id, Status.EXPIRED)
            await outbox.put(db, _told(ReservationExpired, ended))
    return len(due)


def _told(event: type[ReservationEvent], reservation: Reservation) -> ReservationEvent:
    if reservation.appointment_id is None:
        raise ValueError(f"reservation {reservation.id} holds nothing yet")
    return event(
        id=reservation.id,
        version=reservation.version,
        appointment_id=reservation.appointment_id,
        user_id=reservation.user_id,
        provider_id=reservation.provider_id,
        service_id=reservation.service_id,
        timeslot_id=reservation.timeslot_id,
        token_hash=reservation.token_hash.hex(),
        expires_at=reservation.expires_at,
        reserved_by=None
        if reservation.reserved_by == reservation.user_id
        else reservation.reserved_by,
    )
