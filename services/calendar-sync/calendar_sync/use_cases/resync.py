"""Read a connection's calendars anew, from nothing."""

from uuid import UUID

from calendar_sync.refusals import ConnectionBroken
from calendar_sync.sync.lease import nudge
from calendar_sync.use_cases.locking import locked
from shared.db import Connection

_ANEW = "UPDATE calendars SET cursor = NULL, generation = generation + 1 WHERE connection_id = $1"
_LIST = "UPDATE connections SET listed_at = NULL WHERE id = $1"


async def resync(db: Connection, provider_id: UUID, id_: UUID) -> None:
    """What is busy stays busy until the reading has ended. Raises ConnectionNotFound,
    ConnectionEnding, ConnectionBroken."""
    connection = await locked(db, provider_id, id_)
    if connection["state"] == "broken":
        raise ConnectionBroken
    await db.execute(_ANEW, id_)
    await db.execute(_LIST, id_)
    await nudge(db, id_)
