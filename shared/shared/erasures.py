"""A patient's erasure in a service that hears of it: noted, carried out once, answered each time.

The note outlives the patient's data. A replayed history meets it, so what the same person has told
since is safe; a database that comes back from a backup lacks it, so there a replay erases again.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID

from shared.db import Connection
from shared.events.envelope import Event
from shared.events.erasure import PatientErased
from shared.events.patient import PatientDeleted
from shared.messaging import outbox
from shared.messaging.handlers import Handler
from shared.observability import logger


async def begin(db: Connection, deleted: PatientDeleted) -> bool:
    """Note the erasure; False when it was carried out here before, and only has to be confirmed."""
    is_new: bool = await db.fetchval(
        """
        INSERT INTO erasures (patient_id, version, erasure_id) VALUES ($1, $2, $3)
        ON CONFLICT (patient_id, version) DO UPDATE SET confirmed_at = NULL
        RETURNING xmax = 0
        """,
        deleted.id,
        deleted.version,
        deleted.erasure_id,
    )
    return is_new


async def confirm(
    db: Connection, patient_id: UUID, version: int, kind: type[PatientErased]
) -> None:
    """Nothing of it is left here: say so to bookings, which keeps account."""
    erasure_id = await db.fetchval(
        "UPDATE erasures SET confirmed_at = now() WHERE patient_id = $1 AND version = $2 "
        "RETURNING erasure_id",
        patient_id,
        version,
    )
    if erasure_id is not None:
        await outbox.put(db, kind(erasure_id=erasure_id, patient_id=patient_id, version=version))
    logger.info("patient_erased", patient_id=str(patient_id), erasure_id=str(erasure_id))


def erasing(
    erase: Callable[[Connection, UUID], Awaitable[None]], kind: type[PatientErased]
) -> Handler:
    """The handler of ``patient.deleted`` where all that is to be done fits into its transaction."""

    async def handle(db: Connection, event: Event[PatientDeleted]) -> None:
        if await begin(db, event.data):
            await erase(db, event.data.id)
        await confirm(db, event.data.id, event.data.version, kind)

    return handle
