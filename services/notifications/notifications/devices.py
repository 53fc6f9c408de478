"""The devices on which people get push messages."""

from collections.abc import Collection
from uuid import UUID

from shared.db import Connection
from shared.ids import new_id

MOST = 20
"""Of one person; the oldest gives way."""


async def register(db: Connection, user_id: UUID, *, token: str, platform: str) -> UUID:
    """A token belongs to whoever has registered it last: devices change hands."""
    await db.execute(
        """
        DELETE FROM push_devices WHERE id IN (
            SELECT id FROM push_devices WHERE user_id = $1 AND token <> $2
            ORDER BY created_at DESC, id OFFSET $3 FOR UPDATE
        )
        """,
        user_id,
        token,
        MOST - 1,
    )
    id_: UUID = await db.fetchval(
        """
        INSERT INTO push_devices (id, user_id, token, platform) VALUES ($1, $2, $3, $4)
        ON CONFLICT (token) DO UPDATE
        SET user_id = excluded.user_id, platform = excluded.platform, created_at = now(),
            id = CASE WHEN push_devices.user_id = excluded.user_id
                THEN push_devices.id ELSE excluded.id END
        RETURNING id
        """,
        new_id(),
        user_id,
        token,
        platform,
    )
    return id_


async def remove(db: Connection, user_id: UUID, device_id: UUID) -> bool:
    """False when the user has no such device."""
    row = await db.fetchrow(
        "DELETE FROM push_devices WHERE id = $2 AND user_id = $1 RETURNING id", user_id, device_id
    )
    return row is not None


async def drop(db: Connection, tokens: Collection[str]) -> None:
    """They lead nowhere any more."""
    await db.execute("DELETE FROM push_devices WHERE token = ANY($1::text[])", list(tokens))
