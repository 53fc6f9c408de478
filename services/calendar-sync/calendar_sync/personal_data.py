"""What is kept of a patient: shown to them, and erased.

Entries carry ids and times, and so do the events in providers' calendars: nobody is named there.
"""

from uuid import UUID

import asyncpg

from shared.db import Connection
from shared.idempotency import erase_answers


async def erase_patient(db: Connection, patient_id: UUID) -> None:
    """The secret links to their feed open nothing any more, and what they were called is gone."""
    await db.execute("DELETE FROM feed_links WHERE user_id = $1", patient_id)
    await erase_answers(db, patient_id)


async def feed_links_of(db: Connection, patient_id: UUID) -> list[asyncpg.Record]:
    """Oldest first, revoked ones included; their addresses are secrets and not among this."""
    return await db.fetch(
        """
        SELECT id, label, detailed, created_at, revoked_at FROM feed_links
        WHERE user_id = $1 ORDER BY created_at, id
        """,
        patient_id,
    )
