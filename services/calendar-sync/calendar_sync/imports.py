"""Imports as their owner sees them."""

from uuid import UUID

from calendar_sync.refusals import ImportNotFound
from calendar_sync.schemas.imports import ImportOut
from shared.db import Connection

_IMPORTS = """
SELECT id, name, imported_at, imported_by, created_at, starts_at AS start, ends_at AS end,
    event_count, imported_event_count, blocked_time_count, skipped, unknown_zones
FROM calendar_imports
WHERE provider_id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR id = $2)
ORDER BY created_at, id
"""


async def imports_of(db: Connection, provider_id: UUID) -> list[ImportOut]:
    """Those that were not taken back, oldest first."""
    return [ImportOut(**dict(row)) for row in await db.fetch(_IMPORTS, provider_id, None)]


async def import_of(db: Connection, provider_id: UUID, id_: UUID) -> ImportOut:
    """Raises ImportNotFound, also for another provider's."""
    row = await db.fetchrow(_IMPORTS, provider_id, id_)
    if row is None:
        raise ImportNotFound
    return ImportOut(**dict(row))
