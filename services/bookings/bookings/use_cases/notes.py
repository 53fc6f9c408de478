"""Write notes beside an appointment, whatever its state, and read them."""

from dataclasses import dataclass
from uuid import UUID

from bookings import ledger
from bookings.access import locked_for
from bookings.domain.appointment import Actor, ActorType, Note
from shared.auth import Principal
from shared.cursors import Position
from shared.db import Connection
from shared.errors import Forbidden
from shared.ids import new_id


async def add_note(
    db: Connection, appointment_id: UUID, *, text: str, visibility: str, user: Principal
) -> Note:
    """The note as kept; the trail says that it was added and by whom, but not what it says."""
    found, by = await locked_for(user, appointment_id, db)
    if by.type is ActorType.PATIENT and visibility != "shared":
        raise Forbidden("a patient's notes are shared ones")
    note = Note(new_id(), visibility, by, text, found.now)
    await ledger.add_note(db, found.appointment, note)
    return note


@dataclass(frozen=True, slots=True)
class Notes:
    """A part of an appointment's notes, and where the next part begins."""

    notes: list[Note]
    after: Position | None


async def notes_for(
    db: Connection, appointment_id: UUID, *, by: Actor, after: Position | None, limit: int
) -> Notes:
    """Oldest first; a patient sees the shared ones."""
    rows = await db.fetch(
        """
        SELECT id, visibility, author_type, author_id, text, created_at FROM appointment_notes
        WHERE appointment_id = $1 AND (visibility = 'shared' OR $2)
          AND (created_at, id) > (coalesce($3, '-infinity'::timestamptz),
              coalesce($4, '00000000-0000-0000-0000-000000000000'::uuid))
        ORDER BY created_at, id LIMIT $5
        """,
        appointment_id,
        by.type is not ActorType.PATIENT,
        after and after.at,
        after and after.id,
        limit + 1,
    )
    notes = [
        Note(
            row["id"],
            row["visibility"],
            Actor(ActorType(row["author_type"]), row["author_id"]),
            row["text"],
            row["created_at"],
        )
        for row in rows[:limit]
    ]
    more = len(rows) > limit
    return Notes(notes, Position(notes[-1].created_at, notes[-1].id) if more else None)
