"""Reads that are more than one plain select."""

from uuid import UUID

import asyncpg

from shared.cursors import Position
from shared.db import Connection

_DELIVERIES = """
SELECT d.id, d.job_id AS notification_id, j.kind, d.channel, j.appointment_id, d.attempt,
    d.status, d.message_id, d.started_at, d.finished_at
FROM notification_deliveries d JOIN notification_jobs j ON j.id = d.job_id
WHERE d.recipient_id = $1
"""


async def deliveries_to(
    db: Connection, person_id: UUID, *, after: Position | None, limit: int
) -> list[asyncpg.Record]:
    """Every attempt to tell this person something, the latest first."""
    return await db.fetch(
        f"""
        {_DELIVERIES}
            AND ($2::timestamptz IS NULL OR (d.started_at, d.id) < ($2, $3::uuid))
        ORDER BY d.started_at DESC, d.id DESC LIMIT $4
        """,
        person_id,
        after and after.at,
        after and after.id,
        limit,
    )


_KEPT = {
    "devices": """
        SELECT id, platform, created_at FROM push_devices WHERE user_id = $1 ORDER BY created_at, id
    """,
    "unsubscribe_links": """
        SELECT category, created_at FROM unsubscribe_links WHERE user_id = $1 ORDER BY category
    """,
    "inbox": """
        SELECT id, kind, appointment_id, title, text, link, created_at, read_at
        FROM in_app_notifications WHERE user_id = $1 ORDER BY created_at, id
    """,
    "deliveries": f"""
        {_DELIVERIES} ORDER BY d.started_at, d.id
    """,
    "planned": """
        SELECT kind, channel, appointment_id, due_at FROM notification_jobs
        WHERE recipient_id = $1 AND status = 'queued' ORDER BY due_at, id
    """,
}


async def kept_of(db: Connection, person_id: UUID) -> dict[str, list[asyncpg.Record]]:
    """Everything about the person, by what it is; secrets and other systems' answers left out."""
    return {name: await db.fetch(statement, person_id) for name, statement in _KEPT.items()}
