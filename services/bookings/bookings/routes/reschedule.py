"""Move an appointment to another time."""

import hashlib

from fastapi import Response

from bookings.domain.lifecycle import IllegalTransition
from bookings.domain.policy import AgainstPolicy
from bookings.refusals import (
    AppointmentNotFound,
    HoldExpired,
    PatientBusy,
    RequestExpired,
    ReservationNotFound,
    SlotTaken,
)
from bookings.schemas.appointments import AppointmentOut, RescheduleIn
from bookings.use_cases.reschedule import reschedule_appointment
from shared.app import new_router
from shared.auth import CurrentUser
from shared.db import Connection
from shared.fields import Id
from shared.idempotency import KEY_REFUSALS, OnceOnly
from shared.problems import problems

router = new_router(prefix="/v1/appointments", tags=["appointments"])


@router.post(
    "/{appointment_id}/reschedule",
    response_model=AppointmentOut,
    responses=problems(
        AppointmentNotFound,
        ReservationNotFound,
        IllegalTransition,
        AgainstPolicy,
        HoldExpired,
        RequestExpired,
        PatientBusy,
        SlotTaken,
        *KEY_REFUSALS,
    ),
)
async def reschedule(
    appointment_id: Id, body: RescheduleIn, once: OnceOnly, user: CurrentUser
) -> Response:
    """The new appointment, `confirmed`; `pending` where its time needs approval, and until then the
    old one stays."""

    async def move(db: Connection) -> AppointmentOut:
        token_hash = hashlib.sha256(body.reservation_token.encode()).digest()
        moved = await reschedule_appointment(
            db, appointment_id, token_hash, reason=body.reason, user=user
        )
        return AppointmentOut.of(moved.appointment, by=moved.by, now=moved.now)

    return await once.in_sql(move)
