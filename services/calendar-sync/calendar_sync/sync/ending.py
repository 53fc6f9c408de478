"""The last visit to an account: what is ours is taken away, and everything is forgotten."""

from datetime import timedelta

from calendar_sync.calendars.contract import (
    Account,
    CalendarError,
    PushingAccount,
    Temporary,
)
from calendar_sync.sync.lease import Lease
from calendar_sync.sync.writing import Writing
from shared.db import Database
from shared.observability import logger

PATIENCE = timedelta(days=1)
"""So long a provider that does not answer is asked to take our events and our access back."""

_CHANNELS = """
SELECT push_channels.id, push_channels.external_id FROM push_channels
JOIN calendars ON calendars.id = calendar_id
WHERE connection_id = $1 AND push_channels.external_id IS NOT NULL
"""
_FORGET_EVENTS = """
DELETE FROM external_events WHERE (calendar_id, external_id) IN (
    SELECT calendar_id, external_events.external_id
    FROM external_events JOIN calendars ON calendars.id = calendar_id
    WHERE connection_id = $1 LIMIT 1000
)
"""
_FORGET = "DELETE FROM connections WHERE id = $1"


async def end(database: Database, account: Account, lease: Lease, writing: Writing) -> None:
    """Take our events away if so wanted, stop channels, give the access back, and forget."""
    try:
        if lease.removes_events:
            await writing.remove_all()
        await _stop_channels(database, account, lease)
        await account.revoke()
    except Temporary:
        if lease.ended_at is not None and lease.began_at < lease.ended_at + PATIENCE:
            raise
        logger.warning("calendar_end_unfinished", connection=str(lease.id))
    except CalendarError as error:
        logger.warning("calendar_end_refused", connection=str(lease.id), reason=error.reason)
    await forget(database, lease)


async def forget(database: Database, lease: Lease) -> None:
    """The credentials and all that was learned with them are gone after this."""
    more = True
    while more:
        async with lease.transaction(database) as db:
            more = not (await db.execute(_FORGET_EVENTS, lease.id)).endswith(" 0")
    async with lease.transaction(database) as db:
        await db.execute(_FORGET, lease.id)


async def _stop_channels(database: Database, account: Account, lease: Lease) -> None:
    if not isinstance(account, PushingAccount):
        return
    async with database.reading() as db:
        channels = await db.fetch(_CHANNELS, lease.id)
    for channel in channels:
        await account.stop_channel(channel["id"], channel["external_id"])
