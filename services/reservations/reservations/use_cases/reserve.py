"""Reserve a timeslot: within the limits, if it is offered, and if bookings holds it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from reservations import queries
from reservations.clients import Availability, Bookings, Offered, Refusal
from reservations.models import Status
from reservations.queries import Reservation
from reservations.refusals import (
    AgainstPolicy,
    AppointmentNotFound,
    CoolingDown,
    InvalidTransition,
    RequestExpired,
    ReservationInProgress,
    ReservedForMove,
    SlotNotFound,
    SlotTaken,
    TooManyHolds,
    repeated,
)
from reservations.tokens import hash_of, token_of
from shared.auth import Principal, Role
from shared.db import Connection
from shared.errors import DomainError, Unavailable
from shared.events.reservation import ReservationCreated
from shared.ids import new_id

_ASKING_SECONDS = 15
"""Longer than both calls may take; an interrupted request counts towards the limit no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    user_id: UUID
    """The patient it is for."""
    by: Principal
    """Whoever reserves, by the access token."""
    reschedule_of: UUID | None = None
    provider_id: UUID
    service_id: UUID
    timeslot_id: str


@dataclass(frozen=True, slots=True)
class Request:
    """A timeslot is being asked for under this id and token."""

    id: UUID
    token: str


@dataclass(frozen=True, slots=True)
class Limits:
    """For each user who reserves; the settings say how much."""

    max_active: int
    max_expired: int
    window_seconds: int


async def begin(
    db: Connection, wish: Wish, *, secret: str, limits: Limits
) -> Reservation | Request:
    """The user's own reservation of this timeslot, or the start of a new one.

    Raises TooManyHolds at the limit, which counts what is being asked for at the same moment, and
    CoolingDown after too many that expired unused.
    """
    await queries.lock_user(db, wish.by.id)
    late = await queries.of_late(db, wish.by.id, window_seconds=limits.window_seconds)
    own = [each for each in late if each.expires_at > each.now]
    for reservation in own:
        if _is_wanted(reservation, wish):
            if reservation.status is Status.ACTIVE:
                return reservation
            raise ReservationInProgress("ask again in a second")
    if wish.by.role is Role.PATIENT:
        _check_used([each for each in late if each.expires_at <= each.now], limits)
    if len(own) >= limits.max_active:
        wait = (own[0].expires_at - own[0].now).total_seconds()
        raise TooManyHolds(
            f"at most {limits.max_active} timeslots are held at once; confirm or release one",
            retry_after=int(wait) + 1,
            limit=limits.max_active,
        )
    id_ = new_id()
    token = token_of(id_, secret)
    await queries.request(
        db,
        id_,
        user_id=wish.user_id,
        reserved_by=wish.by.id,
        reschedule_of=wish.reschedule_of,
        provider_id=wish.provider_id,
        service_id=wish.service_id,
        timeslot_id=wish.timeslot_id,
        token_hash=hash_of(token),
        seconds=_ASKING_SECONDS,
    )
    return Request(id_, token)


def _is_wanted(own: Reservation, wish: Wish) -> bool:
    """A plain reservation serves a move as well; one for a move serves nothing else."""
    if (own.service_id, own.timeslot_id, own.user_id) != (
        wish.service_id,
        wish.timeslot_id,
        wish.user_id,
    ):
        return False
    if own.reschedule_of not in (None, wish.reschedule_of):
        raise ReservedForMove(
            "you hold this time for moving an appointment; release that reservation first",
            appointmentId=str(own.reschedule_of),
        )
    return True


def _check_used(over: list[Reservation], limits: Limits) -> None:
    """Patients who hold times and let them expire, again and again, keep them from others."""
    expired = [each for each in over if each.status is not Status.REQUESTED]
    if len(expired) < limits.max_expired:
        return
    deciding = expired[-limits.max_expired]
    over_for = (deciding.now - deciding.expires_at).total_seconds()
    if over_for >= limits.window_seconds:
        return
    raise CoolingDown(
        f"{limits.max_expired} reservations have expired unused; wait, and use or release the next",
        retry_after=int(limits.window_seconds - over_for) + 1,
        limit=limits.max_expired,
        windowSeconds=limits.window_seconds,
    )


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
        without=wish.reschedule_of,
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
        by=wish.by,
        reschedule_of=wish.reschedule_of,
    )
    if isinstance(hold, Refusal):
        raise _in_our_words(hold, offered)
    return Granted(hold.appointment_id, offered.timeslot, hold.expires_at)


def _in_our_words(refusal: Refusal, offered: Offered) -> DomainError:
    if refusal.code == SlotTaken.code:
        return SlotTaken(refusal.detail, alternatives=offered.alternatives)
    if refusal.code == "service_not_found":
        return SlotNotFound(refusal.detail)
    return repeated(
        refusal.code,
        refusal.detail,
        refusal.members,
        AgainstPolicy,
        AppointmentNotFound,
        InvalidTransition,
        RequestExpired,
    )


async def give_up(db: Connection, request: Request) -> None:
    """Nothing came of asking."""
    await queries.forget(db, request.id)


async def complete(db: Connection, wish: Wish, request: Request, granted: Granted) -> Reservation:
    """The reservation; Unavailable when the other services took longer than a request is kept."""
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
        reserved_by=None if wish.by.id == wish.user_id else wish.by.id,
    )
    reservation = await queries.activate(db, created, timeslot=granted.timeslot)
    if reservation is None:
        raise Unavailable("this took too long; try again")
    return reservation
