"""Notes beside an appointment, and the entry in its trail that says so."""

from bookings.domain.appointment import Appointment, Note
from bookings.domain.lifecycle import Action
from bookings.ledger.trail import AUDITED, StaleAppointment, entered
from bookings.rows import row_of
from shared.db import Connection

_NOTED = "id, appointment_id, visibility, author_type, author_id, text, created_at"

_ADD_NOTE = f"""
WITH changed AS (
    UPDATE appointments SET (audit_sequence, audit_hash) = (
        SELECT audit_sequence, audit_hash FROM jsonb_populate_record(NULL::appointments, $1)
    )
    WHERE id = ($1::jsonb ->> 'id')::uuid
      AND audit_sequence = ($1::jsonb ->> 'audit_sequence')::integer - 1
    RETURNING id
), audited AS (
    INSERT INTO audit_events ({AUDITED})
    SELECT {AUDITED} FROM jsonb_populate_record(NULL::audit_events, $2)
    WHERE EXISTS (SELECT FROM changed)
), noted AS (
    INSERT INTO appointment_notes ({_NOTED})
    SELECT {_NOTED} FROM jsonb_populate_record(NULL::appointment_notes, $3)
    WHERE EXISTS (SELECT FROM changed)
)
SELECT EXISTS (SELECT FROM changed)
"""


async def add_note(db: Connection, appointment: Appointment, note: Note) -> None:
    """Keep the note and enter in the trail that it was added, without its text.

    The appointment itself does not change, so nothing is announced and its version stays. The
    caller holds the row's lock.
    """
    metadata = {"noteId": str(note.id), "visibility": note.visibility}
    action = Action.NOTE_ADDED
    written, entry = entered(appointment, action, note.author, metadata, at=note.created_at)
    row = {
        "id": note.id,
        "appointment_id": appointment.id,
        "visibility": note.visibility,
        "author_type": note.author.type.value,
        "author_id": note.author.id,
        "text": note.text,
        "created_at": note.created_at,
    }
    if not await db.fetchval(_ADD_NOTE, row_of(written), entry, row):
        raise StaleAppointment(f"the trail of {appointment.id} has grown meanwhile")
