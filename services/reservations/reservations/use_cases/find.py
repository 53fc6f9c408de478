"""Find a reservation, for whoever may see it."""

from reservations import queries
from reservations.queries import Reservation
from reservations.refusals import ReservationNotFound
from reservations.tokens import hash_of
from shared.auth import Principal, Role
from shared.db import Connection


async def find_reservation(db: Connection, token: str, *, user: Principal) -> Reservation:
    """The user's own reservation; an admin sees everybody's."""
    return _visible(await queries.by_token(db, hash_of(token)), user)


async def locked_reservation(db: Connection, token: str, *, user: Principal) -> Reservation:
    """The same, unchanged by anybody else until this transaction ends."""
    return _visible(await queries.by_token(db, hash_of(token), for_update=True), user)


def _visible(reservation: Reservation | None, user: Principal) -> Reservation:
    if reservation is None or (user.role is not Role.ADMIN and reservation.reserved_by != user.id):
        raise ReservationNotFound("no such reservation")
    return reservation
