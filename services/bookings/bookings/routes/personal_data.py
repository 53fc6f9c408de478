"""A patient's right to their data, and to have it erased."""

from typing import Annotated

from fastapi import Depends, Request, Response

from bookings.access import may_see_patient
from bookings.clients import Keepers
from bookings.domain.appointment import Actor, ActorType
from bookings.erasures import newest_erasure
from bookings.refusals import AppointmentsToCome, ErasureNotFound, PatientNotFound
from bookings.schemas.erasures import ErasureIn, ErasureOut
from bookings.schemas.export import ExportOut
from bookings.use_cases.erase import ErasureWish, erase_patient
from bookings.use_cases.export import all_of_patient
from shared.app import new_router
from shared.auth import CurrentUser
from shared.db import Connection, SqlReading, database_of
from shared.errors import FieldError, Invalid
from shared.fields import Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.problems import problems

router = new_router(prefix="/v1/patients", tags=["personal data"])


async def _keepers(request: Request) -> Keepers:
    keepers: Keepers = request.app.state.keepers
    return keepers


@router.post(
    "/{user_id}/erasure",
    status_code=202,
    response_model=ErasureOut,
    responses=problems(PatientNotFound, AppointmentsToCome, Invalid, *KEY_REFUSALS),
)
async def erase(user_id: Id, body: ErasureIn, once: OnceIfKeyed, user: CurrentUser) -> Response:
    """Erase name, contacts and notes everywhere, for ever; ids and the audit trail stay.

    By the patient or an admin. Refused while appointments are to come, unless they are to be
    cancelled.
    """
    if not may_see_patient(user, user_id):
        raise PatientNotFound("no such patient")
    if body.confirm_user_id != user_id:
        raise Invalid(
            "this cannot be undone: repeat whose data it is",
            errors=[FieldError("confirmUserId", "NOT_THE_SAME", "the userId of the path")],
        )
    wish = ErasureWish(
        patient_id=user_id,
        by=Actor(ActorType(user.role.value), user.id),
        reason_code=body.reason_code,
        cancel_upcoming=body.cancel_upcoming,
    )

    async def erase(db: Connection) -> ErasureOut:
        return ErasureOut.of(await erase_patient(db, wish))

    return await once.in_sql(
        erase, headers=lambda _: {"Location": f"/v1/patients/{user_id}/erasure"}
    )


@router.get(
    "/{user_id}/erasure",
    response_model=ErasureOut,
    responses=problems(PatientNotFound, ErasureNotFound),
)
async def get_erasure(user_id: Id, db: SqlReading, user: CurrentUser) -> ErasureOut:
    """The newest erasure, and which services have confirmed it."""
    if not may_see_patient(user, user_id):
        raise PatientNotFound("no such patient")
    erasure = await newest_erasure(db, user_id)
    if erasure is None:
        raise ErasureNotFound
    return ErasureOut.of(erasure)


@router.get("/{user_id}/export", response_model=ExportOut, responses=problems(PatientNotFound))
async def export(
    user_id: Id,
    request: Request,
    user: CurrentUser,
    keepers: Annotated[Keepers, Depends(_keepers)],
) -> ExportOut:
    """Everything that any service keeps about the patient; a service that is silent is named."""
    if not may_see_patient(user, user_id):
        raise PatientNotFound("no such patient")
    async with (
        database_of(request).reading() as db,
        db.transaction(isolation="repeatable_read", readonly=True),
    ):
        own = await all_of_patient(db, user_id)
    # With no connection in hand: the others may take their time.
    return ExportOut.of(user_id, own, await keepers.all_about(user_id))
