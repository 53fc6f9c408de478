"""Channels through which providers tell of changes: opened, renewed, replaced and stopped.

They only save waiting. Whoever is not told, or told too late, is found by the next poll.
"""

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

import asyncpg

from calendar_sync.calendars.contract import (
    Account,
    Channel,
    ChannelRequest,
    NotFound,
    PushingAccount,
    Refused,
    Temporary,
)
from calendar_sync.sync.lease import Lease
from shared.db import Database
from shared.ids import new_id
from shared.observability import logger

LASTS = timedelta(days=6)
_AGAIN_AFTER = timedelta(hours=1)
"""A provider that did not open a channel is asked again."""
_SECRET_BYTES = 32

# A channel that has been replaced goes a visit later, so that both tell for a while.
_TO_STOP = """
SELECT push_channels.id, push_channels.external_id
FROM push_channels JOIN calendars ON calendars.id = calendar_id
WHERE connection_id = $1 AND (
    expires_at <= now()
    OR push_channels.external_id IS NOT NULL AND (
        NOT is_busy OR EXISTS (
            SELECT FROM push_channels AS newer
            WHERE newer.calendar_id = calendars.id AND newer.external_id IS NOT NULL
                AND (newer.expires_at, newer.id) > (push_channels.expires_at, push_channels.id)
        )
    )
)
"""
_WITHOUT = """
SELECT calendars.id, calendars.external_id AS calendar, open.id AS channel_id,
    open.external_id AS channel, open.expires_at
FROM calendars LEFT JOIN LATERAL (
    SELECT * FROM push_channels
    WHERE calendar_id = calendars.id AND external_id IS NOT NULL AND expires_at > now()
    ORDER BY expires_at DESC, id DESC LIMIT 1
) AS open ON true
WHERE connection_id = $1 AND is_busy AND NOT is_gone
    AND (open.id IS NULL OR open.expires_at - now() < greatest(
        interval '10 minutes', least(interval '1 day', (open.expires_at - open.asked_at) / 4)
    ))
    AND NOT EXISTS (
        SELECT FROM push_channels AS tried
        WHERE tried.calendar_id = calendars.id AND tried.external_id IS NULL
            AND tried.asked_at > now() - $2::interval
    )
"""
_RENEWED = "UPDATE push_channels SET expires_at = $2, asked_at = now() WHERE id = $1"
_UNANSWERED = "DELETE FROM push_channels WHERE calendar_id = $1 AND external_id IS NULL"
_ASKED = """
INSERT INTO push_channels (id, calendar_id, secret_hash, expires_at)
VALUES ($1, $2, $3, now() + $4::interval)
"""
_OPEN = "UPDATE push_channels SET external_id = $2, expires_at = $3 WHERE id = $1"
_STOPPED = "DELETE FROM push_channels WHERE id = $1"


def hash_of(secret: str) -> bytes:
    """What is kept of a channel's secret."""
    return hashlib.sha256(secret.encode()).digest()


async def tend_channels(database: Database, account: Account, lease: Lease, address: str) -> None:
    """One open channel for each calendar that is read, where the provider has channels; both may
    tell while one follows the other. Of all errors only AccessGone comes out of here."""
    if not isinstance(account, PushingAccount):
        return
    async with database.reading() as db:
        to_stop = await db.fetch(_TO_STOP, lease.id)
        without = await db.fetch(_WITHOUT, lease.id, _AGAIN_AFTER)
    try:
        for row in to_stop:
            await _stop(database, account, lease, row["id"], row["external_id"])
        for row in without:
            if row["channel_id"] is None or not await _renew(database, account, lease, row):
                await _open(database, account, lease, row, address)
    except (NotFound, Refused, Temporary) as error:
        logger.info("calendar_channel_not_kept", connection=str(lease.id), reason=error.reason)


async def _stop(
    database: Database, account: PushingAccount, lease: Lease, id_: UUID, external_id: str | None
) -> None:
    if external_id is not None:
        await account.stop_channel(id_, external_id)
    async with lease.transaction(database) as db:
        await db.execute(_STOPPED, id_)


async def _renew(
    database: Database, account: PushingAccount, lease: Lease, row: asyncpg.Record
) -> bool:
    """False when another has to be opened."""
    try:
        renewed = await account.renew_channel(Channel(row["channel"], row["expires_at"]), LASTS)
    except Refused:
        return False
    if renewed is None:
        return False
    async with lease.transaction(database) as db:
        await db.execute(_RENEWED, row["channel_id"], renewed.expires_at)
    return True


async def _open(
    database: Database, account: PushingAccount, lease: Lease, row: asyncpg.Record, address: str
) -> None:
    id_, secret = new_id(), secrets.token_urlsafe(_SECRET_BYTES)
    async with lease.transaction(database) as db:
        await db.execute(_UNANSWERED, row["id"])
        await db.execute(_ASKED, id_, row["id"], hash_of(secret), LASTS)
    # Messages may come before the answer does, and are believed.
    wanted = ChannelRequest(id=id_, secret=secret, address=address, lasts=LASTS)
    channel = await account.open_channel(row["calendar"], wanted)
    async with lease.transaction(database) as db:
        await db.execute(_OPEN, id_, channel.external_id, channel.expires_at)
