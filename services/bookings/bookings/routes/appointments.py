"""Confirm, cancel and look at appointments."""

import hashlib
from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import Response

from bookings import queries
from bookings.access import seen_by
from bookings.domain.appointment import Actor, ActorType
from bookings.domain.lifecycle import IllegalTransition
from bookings.domain.policy import AgainstPolicy
from bookings.refusals import (
    AppointmentNotFound,
    ContactDetailsInvalid,
    ContactDetailsMissing,
    HoldExpired,
    PatientBusy,
    ReservationNotFound,
    ReservedForMove,
)
from bookings.schemas.appointments import (
    AppointmentOut,
    AuditOut,
    AuditTrailOut,
    CancelIn,
    CancelledOut,
    ConfirmIn,
    RefundOut,
)
from bookings.use_cases.cancel import cancel_appointment
from bookings.use_cases.confirm import Details, confirm_appointment, confirm_at_once
from shared.app import new_router
from shared.auth import CurrentUser, Principal, Role, caller, require
from shared.checked_route import body_of, first_tries
from shared.db import Connection, SqlReading
from shared.fields import Id
from shared.idempotency import KEY_REFUSALS, Keep, OnceOnly, once_of
from shared.json_body import CheckedRequest
from shared.problems import problems

router = new_router(prefix="/v1", tags=["appointments"])


async def _confirmed_at_once(request: CheckedRequest) -> Response | None:
    """Nearly every confirmation: nothing stands in its way, and two round trips do."""
    user = await caller(request)
    body = await body_of(request, ConfirmIn)
    if body is None or user.role is not Role.PATIENT:
        return None
    once = await once_of(request, user)
    shown = _shown_to(user)

    async def confirm(db: Connection, keep: Keep[AppointmentOut]) -> bool:
        return await confirm_at_once(
            db,
            _token_hash(body),
            _details(body),
            user_id=user.id,
            kept=lambda found: keep(shown(found)),
        )

    return await once.in_one_statement(confirm, headers=_location)


@router.post(
    "/bookings",
    status_code=201,
    response_model=AppointmentOut,
    responses=problems(
        ReservationNotFound,
        ReservedForMove,
        HoldExpired,
        PatientBusy,
        IllegalTransition,
        ContactDetailsMissing,
        ContactDetailsInvalid,
        *KEY_REFUSALS,
    ),
)
@first_tries(_confirmed_at_once)
async def confirm_booking(
    body: ConfirmIn, once: OnceOnly, user: Annotated[Principal, require(Role.PATIENT)]
) -> Response:
    """Turn a reservation into an appointment: `confirmed`, or `pending` where it needs approval."""
    shown = _shown_to(user)

    async def confirm(db: Connection) -> AppointmentOut:
        return shown(
            await confirm_appointment(db, _token_hash(body), _details(body), user_id=user.id)
        )

    return await once.in_sql(confirm, headers=_location)


def _token_hash(body: ConfirmIn) -> bytes:
    return hashlib.sha256(body.reservation_token.encode()).digest()


def _details(body: ConfirmIn) -> Details:
    return Details(
        reason=body.reason,
        notes=body.notes,
        participants=tuple(person.model_dump() for person in body.participants),
    )


def _shown_to(patient: Principal) -> Callable[[queries.Found], AppointmentOut]:
    by = Actor(ActorType.PATIENT, patient.id)
    return lambda found: AppointmentOut.of(found.appointment, by=by, now=found.now)


@router.post(
    "/appointments/{appointment_id}/cancel",
    response_model=CancelledOut,
    responses=problems(AppointmentNotFound, IllegalTransition, AgainstPolicy, *KEY_REFUSALS),
)
async def cancel(appointment_id: Id, body: CancelIn, once: OnceOnly, user: CurrentUser) -> Response:
    """End an appointment; the answer tells what is refunded and what it costs."""

    async def end(db: Connection) -> CancelledOut:
        done = await cancel_appointment(db, appointment_id, reason=body.reason, user=user)
        return CancelledOut(
            appointment=AppointmentOut.of(done.appointment, by=done.by, now=done.now),
            refund=RefundOut.model_validate(done.refund),
        )

    return await once.in_sql(end)


@router.get(
    "/appointments/{appointment_id}",
    response_model=AppointmentOut,
    responses=problems(AppointmentNotFound),
)
async def get_appointment(appointment_id: Id, db: SqlReading, user: CurrentUser) -> AppointmentOut:
    """The appointment with its audit trail, for its patient, its provider, or an admin."""
    found, by = await seen_by(user, appointment_id, db)
    trail = await _trail(db, appointment_id)
    return AppointmentOut.of(found.appointment, by=by, now=found.now, audit=trail)


@router.get(
    "/appointments/{appointment_id}/audit",
    response_model=AuditTrailOut,
    responses=problems(AppointmentNotFound),
)
async def get_audit_trail(appointment_id: Id, db: SqlReading, user: CurrentUser) -> AuditTrailOut:
    """Everything that has happened to the appointment, oldest first."""
    await seen_by(user, appointment_id, db)
    return AuditTrailOut(items=await _trail(db, appointment_id))


def _location(made: AppointmentOut) -> dict[str, str]:
    return {"Location": f"/v1/appointments/{made.id}"}


async def _trail(db: Connection, appointment_id: UUID) -> list[AuditOut]:
    return [AuditOut.of(row) for row in await queries.audit_trail(db, appointment_id)]
