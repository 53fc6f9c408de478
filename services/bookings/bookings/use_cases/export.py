"""Everything that bookings keeps about a patient and that they may see."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from bookings import queries
from bookings.domain.appointment import Actor, ActorType, Appointment, Note
from bookings.domain.erasure import Erasure
from bookings.erasures import newest_erasure
from bookings.rows import REST_OF_A, appointment_of
from shared.clock import database_now
from shared.db import Connection

_APPOINTMENTS = f"""
SELECT a.*, {REST_OF_A} FROM appointments a
WHERE a.id IN ({queries.ALL_OF_PATIENT}) ORDER BY a.starts_at, a.id
"""
_NOTES = """
SELECT appointment_id, id, visibility, author_type, author_id, text, created_at
FROM appointment_notes WHERE appointment_id = ANY($1::uuid[]) AND visibility = 'shared'
ORDER BY created_at, id
"""
_PROFILE = """
SELECT id, name, email, phone, language, timezone, communication_preferences, emergency_contact,
    version, created_at, updated_at
FROM patients WHERE id = $1 AND version IS DISTINCT FROM erased_version
"""


@dataclass(frozen=True, slots=True)
class Own:
    """As of ``now``; notes and trails by appointment."""

    now: datetime
    profile: asyncpg.Record | None
    appointments: list[Appointment]
    notes: dict[UUID, list[Note]]
    trails: dict[UUID, list[asyncpg.Record]]
    erasure: Erasure | None


async def all_of_patient(db: Connection, patient_id: UUID) -> Own:
    """Holds and what ended long ago included. ``db`` reads one snapshot throughout."""
    appointments = [appointment_of(row) for row in await db.fetch(_APPOINTMENTS, patient_id)]
    ids = [each.id for each in appointments]
    notes: dict[UUID, list[Note]] = defaultdict(list)
    for row in await db.fetch(_NOTES, ids):
        author = Actor(ActorType(row["author_type"]), row["author_id"])
        notes[row["appointment_id"]].append(
            Note(row["id"], row["visibility"], author, row["text"], row["created_at"])
        )
    return Own(
        now=await database_now(db),
        profile=await db.fetchrow(_PROFILE, patient_id),
        appointments=appointments,
        notes=notes,
        trails={id_: await queries.audit_trail(db, id_) for id_ in ids},
        erasure=await newest_erasure(db, patient_id),
    )
