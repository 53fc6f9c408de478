"""HTTP in, one use case, HTTP out."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import Field

from reservations import use_cases
from reservations.clients import Availability, Bookings
from reservations.models import Status
from reservations.queries import Reservation
from reservations.refusals import (
    AgainstPolicy,
    NotYourself,
    ReservationInProgress,
    ReservationNotFound,
    SlotNotFound,
    SlotTaken,
    TooManyHolds,
)
from reservations.schemas import ReservationOut, ReservedOut, ReserveIn, TimeslotOut
from reservations.settings import ReservationsSettings
from reservations.tokens import token_of
from reservations.use_cases import Wish
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


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
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
        ReservationInProgress,
        TooManyHolds,
        NotYourself,
        *KEY_REFUSALS,
    ),
)
async def reserve(
    body: ReserveIn,
    desk: AtDesk,
    once: OnceIfKeyed,
    user: Annotated[Principal, require(Role.PATIENT)],
) -> Response:
    """Hold a timeslot for oneself; holding it already gives the same reservation again."""
    if body.user_id is not None and body.user_id != user.id:
        raise NotYourself("userId is not the access token's")
    wish = Wish(
        user_id=user.id,
        provider_id=body.provider_id,
        service_id=body.service_id,
        timeslot_id=body.timeslot_id,
    )
    async with desk.database.transaction() as db:
        if (answered := await once.earlier(db)) is not None:
            return answered
        begun = await use_cases.begin(
            db, wish, secret=desk.secret, max_active=desk.settings.max_active_holds
        )
        if isinstance(begun, Reservation):
            return await once.keep(db, _reserved(begun, desk), headers=_location)
    try:
        granted = await use_cases.ask(
            wish, begun, availability=desk.availability, bookings=desk.bookings
        )
    except DomainError as refusal:
        return await _refuse(desk.database, begun, refusal, once)
    # A single statement unless an answer is to be kept with it.
    writing = desk.database.transaction if once.has_key else desk.database.autocommit
    async with writing() as db:
        reservation = await use_cases.complete(db, wish, begun, granted)
        return await once.keep(db, _reserved(reservation, desk), headers=_location)


@router.get("/{token}", response_model=ReservationOut, responses=problems(ReservationNotFound))
async def get_reservation(
    token: Token, db: SqlReading, desk: AtDesk, user: CurrentUser
) -> ReservationOut:
    """The reservation with its countdown, for whoever made it."""
    reservation = await use_cases.find_reservation(db, token, user=user)
    return _shown(reservation, token)


@router.delete("/{token}", status_code=204, responses=problems(ReservationNotFound))
async def release(token: Token, db: SqlTransaction, user: CurrentUser) -> None:
    """Let the timeslot go; doing so twice is the same as once."""
    await use_cases.release_reservation(db, token, user=user)


async def _refuse(
    database: Database, begun: use_cases.Request, refusal: DomainError, once: Once
) -> Response:
    """Nothing came of asking, so it counts towards no limit any more."""
    async with database.transaction() as db:
        await use_cases.give_up(db, begun)
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
