"""Disconnect an account: nothing it said counts any more, from this moment on."""

from uuid import UUID

from calendar_sync.refusals import ConnectionEnding
from calendar_sync.sync.telling import tell_deleted
from calendar_sync.use_cases.locking import locked
from shared.db import Connection

# The account may be connected again while this connection is still being taken down.
_END = """
UPDATE connections
SET state = 'disconnecting', removes_events = $2, ended_at = now(), failures = 0,
    account_hash = uuid_send(id), nudges = nudges + 1, next_visit_at = now(), not_before = NULL
WHERE id = $1
"""


async def disconnect(db: Connection, provider_id: UUID, id_: UUID, *, remove_events: bool) -> None:
    """The worker takes down the rest: written events if so wanted, channels, the access itself.
    Twice is the same as once. Raises ConnectionNotFound."""
    try:
        connection = await locked(db, provider_id, id_)
    except ConnectionEnding:
        return
    await db.execute(_END, id_, remove_events)
    await tell_deleted(db, id_, provider_id, connection["kind"])
