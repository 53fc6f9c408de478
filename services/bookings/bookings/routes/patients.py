"""What patients tell about themselves."""

from bookings.access import may_see_patient
from bookings.models import Patient
from bookings.refusals import PatientNotFound
from bookings.schemas.patients import PatientIn, PatientOut
from bookings.use_cases.patients import change_patient
from shared.app import new_router
from shared.auth import CurrentUser
from shared.clock import Now
from shared.db import Reading, Transaction
from shared.fields import Id
from shared.problems import problems

router = new_router(prefix="/v1/patients", tags=["patients"])


@router.get("/{user_id}", response_model=PatientOut, responses=problems(PatientNotFound))
async def get_patient(user_id: Id, db: Reading, user: CurrentUser) -> Patient:
    """The profile of oneself; an admin sees everybody's."""
    patient = await db.get(Patient, user_id) if may_see_patient(user, user_id) else None
    if patient is None or patient.is_erased:
        raise PatientNotFound("no such patient")
    return patient


@router.patch("/{user_id}", response_model=PatientOut, responses=problems(PatientNotFound))
async def update_patient(
    user_id: Id, body: PatientIn, db: Transaction, now: Now, user: CurrentUser
) -> Patient:
    """Change the given fields; whoever is known from a token alone gets a profile by this."""
    if not may_see_patient(user, user_id):
        raise PatientNotFound("no such patient")
    return await change_patient(
        db, user_id, body.model_dump(exclude_unset=True, by_alias=False), now=now
    )
