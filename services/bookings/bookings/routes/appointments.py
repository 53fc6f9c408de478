"""Confirm, cancel and look at appointments."""

import hashlib
from typing import Annotated
from uuid import UUID

from fastapi import Response

from bookings import queries
from bookings.access import actor_for, may_see_patient
from bookings.domain.appointment import Actor, ActorType
from bookings.domain.lifecycle import IllegalTransition
from bookings.domain.policy import AgainstPolicy
from bookings.refusals import (
    AppointmentNotFound,
    ContactDetailsMissing,
    HoldExpired,
    PatientBusy,
    PatientNotFound,
    ReservationNotFound,
)
from bookings.schemas import (
    AppointmentOut,
    AppointmentsOut,
    AuditOut,
    AuditTrailOut,
    CancelIn,
    CancelledOut,
    ConfirmIn,
    ListQuery,
    RefundOut,
)
from bookings.use_cases.cancel import cancel_appointment
from bookings.use_cases.confirm import Details, confirm_appointment
from shared.app import new_router
from shared.auth import CurrentUser, Principal, Role, require
from shared.cursors import CursorInvalid, Position, position_of
from shared.db import Connection, SqlReading
from shared.fields import FromQuery, Id
from shared.idempotency import KEY_REFUSALS, OnceOnly
from shared.problems import problems

router = new_router(prefix="/v1", tags=["appointments"])


@router.post(
    "/bookings",
    status_code=201,
    response_model=AppointmentOut,
    responses=problems(
        ReservationNotFound,
        HoldExpired,
        PatientBusy,
        IllegalTransition,
        ContactDetailsMissing,
        *KEY_REFUSALS,
    ),
)
async def confirm_booking(
    body: ConfirmIn, once: OnceOnly, user: Annotated[Principal, require(Role.PATIENT)]
) -> Response:
    """Turn a reservation into an appointment: `confirmed`, or `pending` where it needs approval."""

    async def confirm(db: Connection) -> AppointmentOut:
        found = await confirm_appointment(
            db,
            hashlib.sha256(body.reservation_token.encode()).digest(),
            Details(
                reason=body.reason,
                notes=body.notes,
                participants=tuple(person.model_dump() for person in body.participants),
            ),
            user_id=user.id,
        )
        by = Actor(ActorType.PATIENT, user.id)
        return AppointmentOut.of(found.appointment, by=by, now=found.now)

    return await once.in_sql(confirm, headers=_location)


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
    found, by = await _seen_by(user, appointment_id, db)
    trail = await _trail(db, appointment_id)
    return AppointmentOut.of(found.appointment, by=by, now=found.now, audit=trail)


@router.get(
    "/appointments/{appointment_id}/audit",
    response_model=AuditTrailOut,
    responses=problems(AppointmentNotFound),
)
async def get_audit_trail(appointment_id: Id, db: SqlReading, user: CurrentUser) -> AuditTrailOut:
    """Everything that has happened to the appointment, oldest first."""
    await _seen_by(user, appointment_id, db)
    return AuditTrailOut(items=await _trail(db, appointment_id))


@router.get(
    "/users/{user_id}/appointments",
    response_model=AppointmentsOut,
    responses=problems(PatientNotFound, CursorInvalid),
)
async def list_appointments(
    user_id: Id, wanted: FromQuery[ListQuery], db: SqlReading, user: CurrentUser
) -> AppointmentsOut:
    """`upcoming` by start, or `history` with the newest first; holds are in neither."""
    if not may_see_patient(user, user_id):
        raise PatientNotFound("no such patient")
    page = await queries.appointments_of_patient(
        db,
        user_id,
        upcoming=wanted.filter == "upcoming",
        after=position_of(wanted.cursor),
        limit=wanted.limit + 1,
    )
    shown = page.appointments[: wanted.limit]
    last = shown[-1] if len(page.appointments) > wanted.limit else None
    by = Actor(ActorType(user.role.value), user.id)
    return AppointmentsOut(
        items=[AppointmentOut.of(each, by=by, now=page.now) for each in shown],
        next_cursor=Position(last.start, last.id).cursor() if last else None,
    )


def _location(made: AppointmentOut) -> dict[str, str]:
    return {"Location": f"/v1/appointments/{made.id}"}


async def _seen_by(
    user: Principal, appointment_id: UUID, db: Connection
) -> tuple[queries.Found, Actor]:
    """The appointment and the part the user has in it; for all others it does not exist."""
    found = await queries.appointment(db, appointment_id)
    by = actor_for(user, found.appointment) if found else None
    if found is None or by is None:
        raise AppointmentNotFound("no such appointment")
    return found, by


async def _trail(db: Connection, appointment_id: UUID) -> list[AuditOut]:
    return [AuditOut.of(row) for row in await queries.audit_trail(db, appointment_id)]
