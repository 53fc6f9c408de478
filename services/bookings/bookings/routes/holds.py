"""What reservations asks: to hold a timeslot, to hold it longer, and what became of holds."""

from datetime import datetime

from fastapi import Request, Response

from bookings.domain.appointment import Actor, ActorType, Appointment
from bookings.domain.lifecycle import IllegalTransition
from bookings.domain.policy import AgainstPolicy
from bookings.refusals import (
    AppointmentNotFound,
    ExtensionLimit,
    HoldExpired,
    RequestExpired,
    ReservationNotFound,
    ServiceNotFound,
    SlotTaken,
)
from bookings.schemas.holds import (
    ExtendIn,
    HoldIn,
    HoldOut,
    OutcomeOut,
    OutcomesIn,
    OutcomesOut,
    PickedBy,
)
from bookings.use_cases.extend_hold import extend_hold
from bookings.use_cases.hold import Wish, hold_timeslot
from bookings.use_cases.hold_outcomes import hold_outcomes
from shared.app import new_router
from shared.auth import CallingService, calling_service
from shared.checked_route import body_of, first_tries
from shared.db import SqlReading, SqlTransaction, database_of
from shared.fields import Id
from shared.json_body import CheckedRequest
from shared.problems import problems

router = new_router(prefix="/internal", tags=["internal"])


async def _held_at_once(request: CheckedRequest) -> Response | None:
    """The busiest call of all, without FastAPI's own way to it."""
    calling_service(request)
    body = await body_of(request, HoldIn)
    return await _held(request, body) if body is not None else None


@router.post(
    "/holds",
    status_code=201,
    response_model=HoldOut,
    responses=problems(
        SlotTaken,
        AgainstPolicy,
        ServiceNotFound,
        AppointmentNotFound,
        IllegalTransition,
        RequestExpired,
    ),
)
@first_tries(_held_at_once)
async def hold(body: HoldIn, request: Request, _: CallingService) -> Response:
    """Holding again what one already holds gives the same hold, so the call may be repeated."""
    return await _held(request, body)


async def _held(request: Request, body: HoldIn) -> Response:
    wish = Wish(
        patient_id=body.user_id,
        provider_id=body.provider_id,
        service_id=body.service_id,
        timeslot_id=body.timeslot_id,
        start=body.start,
        mode=body.mode,
        location_id=body.location_id,
        room_id=body.room_id,
        token_hash=bytes.fromhex(body.token_hash),
        reschedule_of=body.reschedule_of,
        by=_by(body),
    )
    async with database_of(request).autocommit() as db:
        held, now = await hold_timeslot(db, wish)
    answer = _shown(held, now).model_dump_json(by_alias=True)
    return Response(answer, 201, media_type="application/json")


@router.post(
    "/holds/{appointment_id}/extend",
    response_model=HoldOut,
    responses=problems(ReservationNotFound, HoldExpired, ExtensionLimit, IllegalTransition),
)
async def extend(
    appointment_id: Id, body: ExtendIn, db: SqlTransaction, _: CallingService
) -> HoldOut:
    """More time to confirm; not to be repeated blindly, each call counts from now."""
    found = await extend_hold(
        db, appointment_id, token_hash=bytes.fromhex(body.token_hash), by=_by(body)
    )
    return _shown(found.appointment, found.now)


@router.post("/holds/outcomes", response_model=OutcomesOut)
async def outcomes(body: OutcomesIn, db: SqlReading, _: CallingService) -> OutcomesOut:
    """What has become of these appointments as holds; those that nobody knows are left out."""
    found = await hold_outcomes(db, body.appointment_ids)
    return OutcomesOut(
        outcomes=[OutcomeOut(appointment_id=id_, outcome=each) for id_, each in found.items()]
    )


def _by(body: PickedBy) -> Actor | None:
    return Actor(ActorType(body.by_type), body.by_id) if body.by_id is not None else None


def _shown(held: Appointment, now: datetime) -> HoldOut:
    return HoldOut(appointment_id=held.id, expires_at=held.hold_expires_at or now, server_time=now)
