"""HTTP in, one use case, HTTP out."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Response
from pydantic import Field
from starlette.requests import HTTPConnection

from reservations.clients import Availability, Bookings
from reservations.models import Status
from reservations.queries import Reservation
from reservations.refusals import (
    AgainstPolicy,
    AppointmentNotFound,
    CoolingDown,
    ExtensionLimit,
    HoldExpired,
    InvalidTransition,
    NotYourself,
    RequestExpired,
    ReservationEnded,
    ReservationInProgress,
    ReservationNotFound,
    ReservedForMove,
    SlotNotFound,
    SlotTaken,
    TooManyHolds,
)
from reservations.schemas import ReservationOut, ReservedOut, ReserveIn, TimeslotOut
from reservations.settings import ReservationsSettings
from reservations.tokens import token_of
from reservations.use_cases.catch_up import catch_up
from reservations.use_cases.end import release_reservation
from reservations.use_cases.extend import ask_for_longer, extendable, note_extension
from reservations.use_cases.find import find_reservation
from reservations.use_cases.reserve import Limits, Request, Wish, ask, begin, complete, give_up
from shared.app import new_router
from shared.auth import CurrentUser, Principal, Role, require
from shared.db import Database, SqlReading, SqlTransaction
from shared.errors import Conflict, DomainError
from shared.idempotency import KEY_REFUSALS, Once, OnceIfKeyed
from shared.problems import problems

router = new_router(prefix="/v1/reservations", tags=["reservations"])

Token = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{32}$", min_length=32, max_length=32)]


@dataclass(frozen=True, slots=True)
class Desk:
    """What reserving needs besides the request; lives as long as the process."""

    database: Database
    availability: Availability
    bookings: Bookings
    settings: ReservationsSettings

    @property
    def secret(self) -> str:
        return self.settings.reservation_token_secret.get_secret_value()

    @property
    def limits(self) -> Limits:
        settings = self.settings
        return Limits(
            max_active=settings.max_active_holds,
            max_expired=settings.max_expired_holds,
            window_seconds=settings.expired_holds_window_seconds,
        )


async def _desk(connection: HTTPConnection) -> Desk:
    desk: Desk = connection.app.state.desk
    return desk


AtDesk = Annotated[Desk, Depends(_desk)]


@router.post(
    "",
    status_code=201,
    response_model=ReservedOut,
    responses=problems(
        SlotTaken,
        SlotNotFound,
        AgainstPolicy,
        AppointmentNotFound,
        InvalidTransition,
        RequestExpired,
        ReservedForMove,
        ReservationInProgress,
        TooManyHolds,
        CoolingDown,
        NotYourself,
        *KEY_REFUSALS,
    ),
)
async def reserve(
    body: ReserveIn,
    desk: AtDesk,
    once: OnceIfKeyed,
    user: Annotated[Principal, require(Role.PATIENT, Role.PROVIDER, Role.ADMIN)],
) -> Response:
    """Hold a timeslot for oneself, or as the provider for a patient; holding it already gives the
    same reservation again."""
    wish = Wish(
        user_id=_patient(body, user),
        by=user,
        reschedule_of=body.reschedule_of,
        provider_id=body.provider_id,
        service_id=body.service_id,
        timeslot_id=body.timeslot_id,
    )
    try:
        begun = await _begin(wish, desk, once)
    except (TooManyHolds, CoolingDown):
        window = desk.limits.window_seconds
        if not await catch_up(desk.database, desk.bookings, user.id, window_seconds=window):
            raise
        begun = await _begin(wish, desk, once)
    if isinstance(begun, Response):
        return begun
    try:
        granted = await ask(wish, begun, availability=desk.availability, bookings=desk.bookings)
    except DomainError as refusal:
        return await _refuse(desk.database, begun, refusal, once)
    # A single statement unless an answer is to be kept with it.
    writing = desk.database.transaction if once.has_key else desk.database.autocommit
    async with writing() as db:
        reservation = await complete(db, wish, begun, granted)
        return await once.keep(db, _reserved(reservation, desk), headers=_location)


async def _begin(wish: Wish, desk: Desk, once: Once) -> Request | Response:
    """What is to be asked for, or the answer where nothing is."""
    async with desk.database.transaction() as db:
        if (answered := await once.earlier(db)) is not None:
            return answered
        begun = await begin(db, wish, secret=desk.secret, limits=desk.limits)
        if isinstance(begun, Reservation):
            return await once.keep(db, _reserved(begun, desk), headers=_location)
        return begun


@router.get("/{token}", response_model=ReservationOut, responses=problems(ReservationNotFound))
async def get_reservation(
    token: Token, db: SqlReading, desk: AtDesk, user: CurrentUser
) -> ReservationOut:
    """The reservation with its countdown, for whoever made it."""
    reservation = await find_reservation(db, token, user=user)
    return _shown(reservation, token)


@router.post(
    "/{token}/extend",
    operation_id="extend_reservation",
    response_model=ReservationOut,
    responses=problems(
        ReservationNotFound, ReservationEnded, HoldExpired, ExtensionLimit, *KEY_REFUSALS
    ),
)
async def extend(token: Token, desk: AtDesk, once: OnceIfKeyed, user: CurrentUser) -> Response:
    """Start the countdown anew, while it runs; a hold lasts five minutes in all at most."""
    async with desk.database.transaction() as db:
        if (answered := await once.earlier(db)) is not None:
            return answered
        reservation = await extendable(db, token, user=user)
    word = await ask_for_longer(reservation, user=user, bookings=desk.bookings)
    async with desk.database.transaction() as db:
        extended = await note_extension(db, reservation, word)
        if isinstance(extended, Reservation):
            return await once.keep(db, _shown(extended, token))
        if isinstance(extended, Conflict):
            return await once.keep_refusal(db, extended)
    raise extended


@router.delete(
    "/{token}",
    status_code=204,
    operation_id="release_reservation",
    responses=problems(ReservationNotFound),
)
async def release(token: Token, db: SqlTransaction, user: CurrentUser) -> None:
    """Let the timeslot go; doing so twice is the same as once."""
    await release_reservation(db, token, user=user)


def _patient(body: ReserveIn, user: Principal) -> UUID:
    """Whom the timeslot is for; whoever acts is known from the access token alone."""
    if user.role is Role.PATIENT:
        if body.user_id not in (None, user.id):
            raise NotYourself("userId is not the access token's")
        return user.id
    if body.user_id is None:
        raise NotYourself("say in userId for which patient")
    if user.role is Role.PROVIDER and body.provider_id != user.id:
        raise NotYourself("a provider reserves their own timeslots")
    return body.user_id


async def _refuse(database: Database, begun: Request, refusal: DomainError, once: Once) -> Response:
    """Nothing came of asking, so it counts towards no limit any more."""
    async with database.transaction() as db:
        await give_up(db, begun)
        if isinstance(refusal, Conflict):
            return await once.keep_refusal(db, refusal)
    raise refusal


def _reserved(reservation: Reservation, desk: Desk) -> ReservedOut:
    return ReservedOut(
        reservation_token=token_of(reservation.id, desk.secret),
        expires_at=reservation.expires_at,
        server_time=reservation.now,
        appointment_id=reservation.appointment_id,
        timeslot=TimeslotOut.model_validate(reservation.timeslot),
    )


def _shown(reservation: Reservation, token: str) -> ReservationOut:
    over = reservation.status is Status.ACTIVE and reservation.expires_at <= reservation.now
    return ReservationOut(
        token=token,
        timeslot_id=reservation.timeslot_id,
        user_id=reservation.user_id,
        provider_id=reservation.provider_id,
        service_id=reservation.service_id,
        appointment_id=reservation.appointment_id,
        timeslot=TimeslotOut.model_validate(reservation.timeslot),
        expires_at=reservation.expires_at,
        server_time=reservation.now,
        status="expired" if over else reservation.status.value,
    )


def _location(made: ReservedOut) -> dict[str, str]:
    return {"Location": f"/v1/reservations/{made.reservation_token}"}
