"""The provider books for a patient."""

import hashlib
from typing import Annotated
from uuid import UUID

from fastapi import Request, Response

from bookings import queries
from bookings.access import may_see_provider
from bookings.domain.appointment import Actor, ActorType
from bookings.domain.lifecycle import IllegalTransition
from bookings.domain.policy import AgainstPolicy
from bookings.refusals import (
    ContactDetailsInvalid,
    ContactDetailsMissing,
    HoldExpired,
    PatientBusy,
    PatientNotFound,
    ProviderNotFound,
    ReservationNotFound,
    ReservedForMove,
    ServiceNotFound,
    SlotTaken,
)
from bookings.schemas.appointments import AppointmentOut, ProviderBookingIn
from bookings.use_cases.end_hold import release_by
from bookings.use_cases.provider_booking import (
    OutsideRules,
    Visit,
    book_held,
    book_reserved,
    hold_outside_rules,
    reachable,
)
from shared.app import new_router
from shared.auth import Principal, Role, require
from shared.db import Connection, Database, database_of
from shared.errors import Conflict, DomainError, FieldError, Invalid
from shared.fields import Id
from shared.idempotency import KEY_REFUSALS, Once, OnceIfKeyed
from shared.problems import problems

router = new_router(prefix="/v1/providers", tags=["appointments"])


@router.post(
    "/{provider_id}/appointments",
    status_code=201,
    response_model=AppointmentOut,
    responses=problems(
        ProviderNotFound,
        PatientNotFound,
        ServiceNotFound,
        ReservationNotFound,
        ContactDetailsMissing,
        ContactDetailsInvalid,
        ReservedForMove,
        HoldExpired,
        IllegalTransition,
        AgainstPolicy,
        SlotTaken,
        PatientBusy,
        *KEY_REFUSALS,
    ),
)
async def book_for_patient(
    provider_id: Id,
    body: ProviderBookingIn,
    once: OnceIfKeyed,
    request: Request,
    user: Annotated[Principal, require(Role.PROVIDER, Role.ADMIN)],
) -> Response:
    """Confirmed at once: a timeslot reserved for the patient, or any free time with `override`."""
    if not may_see_provider(user, provider_id):
        raise ProviderNotFound("no such provider")
    by = Actor(ActorType(user.role.value), user.id)
    visit = Visit(
        provider_id=provider_id,
        patient_id=body.patient_id,
        reason=body.reason,
        notes=body.notes,
    )
    if (token := _reservation_of(body)) is None:
        return await _book_outside_rules(
            _outside_rules(body), visit, by, once, database_of(request)
        )

    async def book(db: Connection) -> AppointmentOut:
        found = await book_reserved(db, hashlib.sha256(token.encode()).digest(), visit, by=by)
        return _shown(found, by)

    return await once.in_sql(book, headers=_location)


async def _book_outside_rules(
    wanted: OutsideRules, visit: Visit, by: Actor, once: Once, database: Database
) -> Response:
    """Hold, then confirm: a hold clears what is over in transactions of its own."""
    async with database.transaction() as db:
        if (answered := await once.earlier(db)) is not None:
            return answered
        await reachable(db, visit.patient_id)
    hold_id: UUID | None = None
    try:
        async with database.autocommit() as db:
            hold_id = await hold_outside_rules(db, wanted, visit, by=by)
        async with database.transaction() as db:
            found = await book_held(db, hold_id, visit, by=by)
            return await once.keep(db, _shown(found, by), headers=_location)
    except DomainError as refusal:
        async with database.transaction() as db:
            if hold_id is not None:
                await release_by(db, hold_id, by=by)
            if isinstance(refusal, Conflict):
                return await once.keep_refusal(db, refusal)
        raise


def _reservation_of(body: ProviderBookingIn) -> str | None:
    """The token, if the body is about a reserved timeslot; Invalid when it is about neither."""
    outside = {
        "serviceId": body.service_id,
        "start": body.start,
        "mode": body.mode,
        "locationId": body.location_id,
        "roomId": body.room_id,
        "override": body.override,
    }
    if body.reservation_token is not None:
        _refuse(
            [
                FieldError(name, "NOT_WITH_RESERVATION", "the reservation says so already")
                for name, value in outside.items()
                if value is not None
            ]
        )
        return body.reservation_token
    if body.override is None:
        message = (
            "reserve an offered timeslot for the patient (POST /v1/reservations with userId) and "
            "give its token, or say in override.reason why it is to be booked outside the rules"
        )
        _refuse([FieldError("reservationToken", "MISSING", message)])
    return None


def _outside_rules(body: ProviderBookingIn) -> OutsideRules:
    missing = {"serviceId": body.service_id, "start": body.start}
    _refuse([FieldError(name, "MISSING", "needed") for name, v in missing.items() if v is None])
    if body.service_id is None or body.start is None or body.override is None:
        raise AssertionError("refused above")
    return OutsideRules(
        service_id=body.service_id,
        start=body.start,
        mode=body.mode,
        location_id=body.location_id,
        room_id=body.room_id,
        why=body.override.reason,
    )


def _refuse(wrong: list[FieldError]) -> None:
    if wrong:
        raise Invalid("either a reservation or an override with service and start", errors=wrong)


def _shown(found: queries.Found, by: Actor) -> AppointmentOut:
    return AppointmentOut.of(found.appointment, by=by, now=found.now)


def _location(made: AppointmentOut) -> dict[str, str]:
    return {"Location": f"/v1/appointments/{made.id}"}
