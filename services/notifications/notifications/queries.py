"""Reads that are more than one plain select."""

from uuid import UUID

import asyncpg

from shared.cursors import Position
from shared.db import Connection


async def deliveries_to(
    db: Connection, person_id: UUID, *, after: Position | None, limit: int
) -> list[asyncpg.Record]:
    """Every attempt to tell this person something, the latest first."""
    return await db.fetch(
        """
        SELECT d.id, d.job_id AS notification_id, j.kind, d.channel, j.appointment_id, d.attempt,
            d.status, d.message_id, d.started_at, d.finished_at
        FROM notification_deliveries d JOIN notification_jobs j ON j.id = d.job_id
        WHERE d.recipient_id = $1
            AND ($2::timestamptz IS NULL OR (d.started_at, d.id) < ($2, $3::uuid))
        ORDER BY d.started_at DESC, d.id DESC LIMIT $4
        """,
        person_id,
        after and after.at,
        after and after.id,
        limit,
    )
