"""Notes beside an appointment, and the entry in its trail that says so."""

from bookings.domain.appointment import Appointment, Note
from bookings.domain.lifecycle import Action
from bookings.ledger.trail import enter
from shared.db import Connection

_ADD_NOTE = """
INSERT INTO appointment_notes
    (id, appointment_id, visibility, author_type, author_id, text, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


async def add_note(db: Connection, appointment: Appointment, note: Note) -> None:
    """Keep the note and enter in the trail that it was added, without its text.

    The appointment itself does not change, so nothing is announced and its version stays. The
    caller holds the row's lock.
    """
    metadata = {"noteId": str(note.id), "visibility": note.visibility}
    await enter(
        db,
        appointment,
        Action.NOTE_ADDED,
        by=note.author,
        metadata=metadata,
        at=note.created_at,
    )
    await db.execute(
        _ADD_NOTE,
        note.id,
        appointment.id,
        note.visibility,
        note.author.type.value,
        note.author.id,
        note.text,
        note.created_at,
    )
