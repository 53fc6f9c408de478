"""The inbox of one person, as the app shows it."""

from uuid import UUID

import asyncpg

from shared.cursors import Position
from shared.db import Connection

MOST_COUNTED = 1000


async def entries(
    db: Connection, user_id: UUID, *, after: Position | None, limit: int, only_unread: bool
) -> list[asyncpg.Record]:
    """The latest first."""
    return await db.fetch(
        f"""
        SELECT id, kind, appointment_id, title, text, link, created_at, read_at
        FROM in_app_notifications
        WHERE user_id = $1 {"AND read_at IS NULL" if only_unread else ""}
            AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
        ORDER BY created_at DESC, id DESC LIMIT $4
        """,
        user_id,
        after and after.at,
        after and after.id,
        limit,
    )


async def unread(db: Connection, user_id: UUID) -> int:
    """No more than MOST_COUNTED are counted."""
    count: int = await db.fetchval(
        """
        SELECT count(*) FROM (
            SELECT FROM in_app_notifications WHERE user_id = $1 AND read_at IS NULL LIMIT $2
        ) AS unread
        """,
        user_id,
        MOST_COUNTED,
    )
    return count


async def mark_read(db: Connection, user_id: UUID, notification_id: UUID) -> bool:
    """False when there is none in this inbox; what was read before stays as it was."""
    row = await db.fetchrow(
        """
        UPDATE in_app_notifications SET read_at = coalesce(read_at, now())
        WHERE id = $2 AND user_id = $1 RETURNING id
        """,
        user_id,
        notification_id,
    )
    return row is not None


async def mark_all_read(db: Connection, user_id: UUID) -> None:
    await db.execute(
        "UPDATE in_app_notifications SET read_at = now() WHERE user_id = $1 AND read_at IS NULL",
        user_id,
    )
