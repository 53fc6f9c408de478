"""What people wrote about a patient's appointments goes; the appointments and trails stay."""

from dataclasses import dataclass
from uuid import UUID

from bookings import queries
from bookings.domain.appointment import Actor
from bookings.domain.lifecycle import Action
from bookings.ledger.trail import enter
from shared.db import Connection

_WORDED = f"""
SELECT a.id FROM appointments a WHERE a.id IN ({queries.ALL_OF_PATIENT}) AND (
    num_nonnulls(reason, notes, decision_reason, cancellation_reason) > 0
    OR participants <> '[]'
    OR EXISTS (SELECT FROM appointment_notes n WHERE n.appointment_id = a.id)
    OR EXISTS (SELECT FROM override_reasons o WHERE o.appointment_id = a.id)
) ORDER BY a.id
"""
_ERASE = """
WITH worded AS (
    UPDATE appointments SET reason = NULL, notes = NULL, participants = '[]',
        decision_reason = NULL, cancellation_reason = NULL
    WHERE id = $1
), explained AS (
    DELETE FROM override_reasons WHERE appointment_id = $1
)
DELETE FROM appointment_notes WHERE appointment_id = $1 RETURNING id
"""
_INVOLVED = f"""
SELECT DISTINCT actor_id FROM audit_events
WHERE appointment_id IN ({queries.ALL_OF_PATIENT}) AND actor_id IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class ErasedWords:
    """Which notes are gone, and who else has had a part in the patient's appointments."""

    notes: list[UUID]
    involved: list[UUID]


async def erase_words(
    db: Connection, patient_id: UUID, *, by: Actor, erasure_id: UUID
) -> ErasedWords:
    """Reasons, notes and companions of all the patient's appointments, whoever wrote them.

    The trail of each says so. Nothing of it was ever announced, so versions stay.
    """
    notes: list[UUID] = []
    for row in await db.fetch(_WORDED, patient_id):
        found = await queries.locked(db, row["id"])
        if found is None:
            raise LookupError(f"appointment {row['id']} has vanished")
        notes += [note["id"] for note in await db.fetch(_ERASE, row["id"])]
        await enter(
            db,
            found.appointment,
            Action.WORDS_ERASED,
            by=by,
            metadata={"erasureId": str(erasure_id)},
            at=found.now,
        )
    involved = await db.fetch(_INVOLVED, patient_id)
    return ErasedWords(notes, [row["actor_id"] for row in involved])
