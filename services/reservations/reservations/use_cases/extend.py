"""Extend a reservation: bookings says until when."""

from datetime import datetime

from reservations import queries
from reservations.clients import Bookings, Hold, Refusal
from reservations.models import Status
from reservations.queries import Reservation
from reservations.refusals import (
    ExtensionLimit,
    HoldExpired,
    InvalidTransition,
    ReservationEnded,
    ReservationNotFound,
    repeated,
)
from reservations.use_cases.find import find_reservation
from shared.auth import Principal
from shared.db import Connection
from shared.errors import DomainError


async def extendable(db: Connection, token: str, *, user: Principal) -> Reservation:
    """The user's own reservation, while it can be extended at all."""
    reservation = await find_reservation(db, token, user=user)
    if reservation.status in (Status.USED, Status.RELEASED):
        raise ReservationEnded(
            "there is nothing left to extend", reservationStatus=reservation.status.value
        )
    return reservation


async def ask_for_longer(
    reservation: Reservation, *, user: Principal, bookings: Bookings
) -> Hold | Refusal:
    """Bookings' word; no transaction is open meanwhile."""
    if reservation.appointment_id is None:
        raise ReservationNotFound("no such reservation")
    return await bookings.extend(
        reservation.appointment_id, token_hash=reservation.token_hash, by=user
    )


async def note_extension(
    db: Connection, reservation: Reservation, word: Hold | Refusal
) -> Reservation | DomainError:
    """The reservation with its new countdown, or the refusal; both leave it as bookings has it."""
    if isinstance(word, Hold):
        return await queries.set_expiry(db, reservation.id, word.expires_at)
    if word.code == ExtensionLimit.code:
        expires_at = datetime.fromisoformat(word.members["expiresAt"])
        await queries.set_expiry(db, reservation.id, expires_at)
    if word.code == InvalidTransition.code:
        return ReservationEnded("this reservation was used", reservationStatus=Status.USED.value)
    return repeated(
        word.code, word.detail, word.members, ExtensionLimit, HoldExpired, ReservationNotFound
    )
