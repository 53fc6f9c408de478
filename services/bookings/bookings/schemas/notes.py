"""Notes beside an appointment, as they are sent and shown."""

from typing import Literal, Self
from uuid import UUID

from bookings.domain.appointment import Note
from shared.fields import Answer, Cursor, Instant, Limit, Query
from shared.fields import Note as NoteText
from shared.idempotency import KeyedBody


class NoteIn(KeyedBody):
    """A `shared` note is for both sides; a `provider` one is never shown to the patient."""

    text: NoteText
    visibility: Literal["provider", "shared"]


class NotesQuery(Query):
    limit: Limit = 50
    cursor: Cursor | None = None


class NoteOut(Answer):
    id: UUID
    text: str
    visibility: Literal["provider", "shared"]
    author_type: str
    author_id: UUID | None
    created_at: Instant

    @classmethod
    def of(cls, note: Note) -> Self:
        return cls.model_validate(
            {
                "id": note.id,
                "text": note.text,
                "visibility": note.visibility,
                "author_type": note.author.type.value,
                "author_id": note.author.id,
                "created_at": note.created_at,
            }
        )


class NotesOut(Answer):
    items: list[NoteOut]
    next_cursor: str | None
