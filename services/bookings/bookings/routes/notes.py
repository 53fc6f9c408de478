"""Notes beside an appointment."""

from fastapi import Response

from bookings.access import seen_by
from bookings.refusals import AppointmentNotFound
from bookings.schemas.notes import NoteIn, NoteOut, NotesOut, NotesQuery
from bookings.use_cases.notes import add_note, notes_for
from shared.app import new_router
from shared.auth import CurrentUser
from shared.cursors import CursorInvalid, position_of
from shared.db import Connection, SqlReading
from shared.errors import Forbidden
from shared.fields import FromQuery, Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.problems import problems

router = new_router(prefix="/v1/appointments", tags=["notes"])


@router.post(
    "/{appointment_id}/notes",
    status_code=201,
    response_model=NoteOut,
    responses=problems(AppointmentNotFound, Forbidden, *KEY_REFUSALS),
)
async def write_note(
    appointment_id: Id, body: NoteIn, once: OnceIfKeyed, user: CurrentUser
) -> Response:
    """Add a note, for both sides or for the provider's alone; patients write shared ones."""

    async def add(db: Connection) -> NoteOut:
        note = await add_note(
            db, appointment_id, text=body.text, visibility=body.visibility, user=user
        )
        return NoteOut.of(note)

    return await once.in_sql(add)


@router.get(
    "/{appointment_id}/notes",
    response_model=NotesOut,
    responses=problems(AppointmentNotFound, CursorInvalid),
)
async def read_notes(
    appointment_id: Id, wanted: FromQuery[NotesQuery], db: SqlReading, user: CurrentUser
) -> NotesOut:
    """Oldest first; patients see the shared ones."""
    _, by = await seen_by(user, appointment_id, db)
    page = await notes_for(
        db, appointment_id, by=by, after=position_of(wanted.cursor), limit=wanted.limit
    )
    return NotesOut(
        items=[NoteOut.of(note) for note in page.notes],
        next_cursor=page.after.cursor() if page.after else None,
    )
