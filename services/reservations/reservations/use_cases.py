"""Reserve a timeslot, look at a reservation, let it go, and notice that its time is over."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from reservations import queries
from reservations.clients import Availability, Bookings, Offered, Refusal
from reservations.models import Status
from reservations.queries import Reservation
from reservations.refusals import (
    AgainstPolicy,
    ReservationInProgress,
    ReservationNotFound,
    SlotNotFound,
    SlotTaken,
    TooManyHolds,
)
from reservations.tokens import hash_of, token_of
from shared.auth import Principal, Role
from shared.db import Connection
from shared.errors import DomainError, Unavailable
from shared.events.reservation import (
    ReservationCreated,
    ReservationEvent,
    ReservationExpired,
    ReservationReleased,
)
from shared.ids import new_id
from shared.messaging import outbox

_ASKING_SECONDS = 15
"""Longer than both calls may take; an interrupted request counts towards the limit no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    user_id: UUID
    provider_id: UUID
    service_id: UUID
    timeslot_id: str


@dataclass(frozen=True, slots=True)
class Request:
    """A timeslot is being asked for under this id and token."""

    id: UUID
    token: str


async def begin(
    db: Connection, wish: Wish, *, secret: str, max_active: int
) -> Reservation | Request:
    """The user's own reservation of this timeslot, or the start of a new one.

    Raises TooManyHolds at the limit, which counts what is being asked for at the same moment.
    """
    await queries.lock_user(db, wish.user_id)
    own = await queries.open_reservations(db, wish.user_id)
    for reservation in own:
        if (reservation.service_id, reservation.timeslot_id) == (
            wish.service_id,
            wish.timeslot_id,
        ):
            if reservation.status is Status.ACTIVE:
                return reservation
            raise ReservationInProgress("ask again in a second")
    if len(own) >= max_active:
        wait = (own[0].expires_at - own[0].now).total_seconds()
        raise TooManyHolds(
            f"at most {max_active} timeslots are held at once; confirm or release one",
            retry_after=int(wait) + 1,
            limit=max_active,
        )
    id_ = new_id()
    token = token_of(id_, secret)
    await queries.request(
        db,
        id_,
        user_id=wish.user_id,
        provider_id=wish.provider_id,
        service_id=wish.service_id,
        timeslot_id=wish.timeslot_id,
        token_hash=hash_of(token),
        seconds=_ASKING_SECONDS,
    )
    return Request(id_, token)


@dataclass(frozen=True, slots=True)
class Granted:
    """The other services' yes."""

    appointment_id: UUID
    timeslot: dict[str, object]
    expires_at: datetime


async def ask(
    wish: Wish, request: Request, *, availability: Availability, bookings: Bookings
) -> Granted:
    """Is it offered, and is it free? No transaction is open while the others are asked."""
    offered = await availability.check(
        provider_id=wish.provider_id,
        service_id=wish.service_id,
        timeslot_id=wish.timeslot_id,
        user_id=wish.user_id,
    )
    if offered is None:
        raise SlotNotFound("this provider has no such timeslot for this service")
    if offered.timeslot is None:
        raise SlotTaken("this time is not offered any more", alternatives=offered.alternatives)
    hold = await bookings.hold(
        user_id=wish.user_id,
        provider_id=wish.provider_id,
        service_id=wish.service_id,
        timeslot=offered.timeslot,
        token_hash=hash_of(request.token),
    )
    if isinstance(hold, Refusal):
        raise _in_our_words(hold, offered)
    return Granted(hold.appointment_id, offered.timeslot, hold.expires_at)


def _in_our_words(refusal: Refusal, offered: Offered) -> DomainError:
    if refusal.code == SlotTaken.code:
        return SlotTaken(refusal.detail, alternatives=offered.alternatives)
    if refusal.code == AgainstPolicy.code:
        return AgainstPolicy(refusal.detail, **refusal.members)
    if refusal.code == "service_not_found":
        return SlotNotFound(refusal.detail)
    return Unavailable(refusal.detail)


async def give_up(db: Connection, request: Request) -> None:
    """Nothing came of asking."""
    await queries.forget(db, request.id)


async def complete(db: Connection, wish: Wish, request: Request, granted: Granted) -> Reservation:
    created = ReservationCreated(
        id=request.id,
        version=1,
        appointment_id=granted.appointment_id,
        user_id=wish.user_id,
        provider_id=wish.provider_id,
        service_id=wish.service_id,
        timeslot_id=wish.timeslot_id,
        token_hash=hash_of(request.token).hex(),
        expires_at=granted.expires_at,
    )
    return await queries.activate(db, created, timeslot=granted.timeslot)


async def find_reservation(db: Connection, token: str, *, user: Principal) -> Reservation:
    """The user's own reservation; an admin sees everybody's."""
    return _visible(await queries.by_token(db, hash_of(token)), user)


async def release_reservation(db: Connection, token: str, *, user: Principal) -> None:
    """Let the timeslot go; of one that has ended already there is nothing to let go."""
    reservation = _visible(await queries.by_token(db, hash_of(token), for_update=True), user)
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


def _visible(reservation: Reservation | None, user: Principal) -> Reservation:
    if reservation is None or (user.role is not Role.ADMIN and reservation.user_id != user.id):
        raise ReservationNotFound("no such reservation")
    return reservation


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
    )
