"""What a patient tells about themselves."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bookings.models import Patient
from shared.events.patient import CommunicationPreferences, PatientUpdated
from shared.messaging import outbox

_MERGED = "communication_preferences"


async def change_patient(
    db: AsyncSession, id_: UUID, changes: dict[str, Any], *, now: datetime
) -> Patient:
    """The profile after the change; whoever is known from a token alone gets one by it.

    What others need in order to reach the patient is announced; the emergency contact never is.
    """
    await db.execute(
        insert(Patient)
        .values(id=id_, version=0, language="en", timezone="UTC")
        .on_conflict_do_nothing()
    )
    patient = await db.get_one(Patient, id_, with_for_update=True)
    for field, value in changes.items():
        merged = getattr(patient, field) | value if field == _MERGED else value
        setattr(patient, field, merged)
    patient.version += 1
    patient.updated_at = now
    await db.flush()
    await outbox.add(
        db,
        PatientUpdated(
            id=patient.id,
            version=patient.version,
            name=patient.name,
            email=patient.email,
            phone=patient.phone,
            language=patient.language,
            timezone=patient.timezone,
            communication_preferences=CommunicationPreferences(**patient.communication_preferences),
        ),
    )
    return patient
