"""A provider's connection, locked for a change."""

from typing import Any
from uuid import UUID

from calendar_sync.refusals import ConnectionEnding, ConnectionNotFound
from shared.db import Connection

_LOCKED = """
SELECT kind, state, broken_because, credentials, tentative_is_busy, on_drift FROM connections
WHERE id = $1 AND provider_id = $2 FOR NO KEY UPDATE
"""


async def locked(db: Connection, provider_id: UUID, id_: UUID) -> Any:
    """Raises ConnectionNotFound, also for another provider's, and ConnectionEnding."""
    found = await db.fetchrow(_LOCKED, id_, provider_id)
    if found is None:
        raise ConnectionNotFound
    if found["state"] == "disconnecting":
        raise ConnectionEnding
    return found
