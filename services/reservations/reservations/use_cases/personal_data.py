"""What is kept of a patient: shown to them, and erased."""

from uuid import UUID

import asyncpg

from shared.db import Connection
from shared.idempotency import erase_answers


async def erase_patient(db: Connection, patient_id: UUID) -> None:
    """Their reservations go, whoever made them; bookings has ended the holds behind those."""
    await db.execute("DELETE FROM reservations WHERE user_id = $1", patient_id)
    await erase_answers(db, patient_id)


async def reservations_of(db: Connection, patient_id: UUID) -> list[asyncpg.Record]:
    """Oldest first; the tokens are known to nobody."""
    return await db.fetch(
        """
        SELECT id, status, provider_id, service_id, timeslot_id, appointment_id, reschedule_of,
            reserved_by, created_at, expires_at
        FROM reservations WHERE user_id = $1 AND status <> 'requested' ORDER BY created_at, id
        """,
        patient_id,
    )
