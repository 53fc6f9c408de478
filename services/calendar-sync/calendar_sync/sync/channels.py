"""Channels through which a provider tells that something has changed, kept open while wanted."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from calendar_sync.calendars.contract import (
    Account,
    Channel,
    ChannelRequest,
    PushingAccount,
    Refused,
)
from calendar_sync.sync.lease import Lease, nudge
from shared.db import Connection, Database
from shared.ids import new_id

LASTS = timedelta(days=6)
_RENEW_BEFORE = timedelta(days=1)
_REFUSED_FOR = timedelta(days=1)

_CHANNELS = """
SELECT push_channels.id, calendars.id AS calendar_id, calendars.external_id AS calendar,
    push_channels.external_id, expires_at, is_stopping OR NOT is_busy AS is_stopping,
    expires_at <= $2 AS is_over, is_busy AS is_wanted
FROM calendars LEFT JOIN push_channels ON calendar_id = calendars.id
WHERE connection_id = $1 AND (is_busy OR push_channels.id IS NOT NULL) AND NOT is_gone
ORDER BY calendars.id, push_channels.created_at
"""
_INTEND = """
INSERT INTO push_channels (id, calendar_id, secret_hash, expires_at)
VALUES ($1, $2, $3, now() + $4::interval)
"""
_OPEN = "UPDATE push_channels SET external_id = $2, expires_at = $3 WHERE id = $1"
_REFUSED = """
UPDATE push_channels SET is_stopping = true, expires_at = now() + $2::interval WHERE id = $1
"""
_STOPPING = "UPDATE push_channels SET is_stopping = true WHERE id = $1"
_FORGET = "DELETE FROM push_channels WHERE id = $1"
_FIND = """
SELECT connection_id, secret_hash FROM push_channels
JOIN calendars ON calendars.id = calendar_id
WHERE push_channels.id = $1 OR push_channels.external_id = $2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    id: UUID
    calendar_id: UUID
    calendar: str
    external_id: str | None
    expires_at: datetime
    is_stopping: bool
    is_over: bool
    is_wanted: bool


async def tend_channels(database: Database, account: Account, lease: Lease, address: str) -> None:
    """One open channel for each calendar that is read. A new one is there before the old one ends,
    and both may tell; where the provider refuses, polling has to do."""
    if not isinstance(account, PushingAccount):
        return
    async with database.reading() as db:
        rows = await db.fetch(_CHANNELS, lease.id, lease.began_at)
    tending = _Tending(database, account, lease, address)
    kept: dict[tuple[UUID, str, bool], list[_Kept]] = {}
    for row in rows:
        channels = kept.setdefault((row["calendar_id"], row["calendar"], row["is_wanted"]), [])
        if row["id"] is not None:
            channels.append(_Kept(**dict(row)))
    for (calendar_id, calendar, is_wanted), channels in kept.items():
        ending = await _keep_fresh(tending, channels)
        if is_wanted and ending is not None:
            await tending.open(calendar_id, calendar)
        for channel in ending or ():
            await tending.stop(channel)


@dataclass(frozen=True, slots=True)
class _Tending:
    database: Database
    account: PushingAccount
    lease: Lease
    address: str

    async def run(self, statement: str, *values: object) -> None:
        async with self.lease.transaction(self.database) as db:
            await db.execute(statement, *values)

    async def open(self, calendar_id: UUID, calendar: str) -> None:
        """The row comes first: nobody else keeps a list of what is open."""
        id_, secret = new_id(), secrets.token_urlsafe(32)
        await self.run(_INTEND, id_, calendar_id, _hash(secret), LASTS)
        wanted = ChannelRequest(id=id_, secret=secret, address=self.address, lasts=LASTS)
        try:
            channel = await self.account.open_channel(calendar, wanted)
        except Refused:
            await self.run(_REFUSED, id_, _REFUSED_FOR)
        else:
            await self.run(_OPEN, id_, channel.external_id, channel.expires_at)

    async def stop(self, channel: _Kept) -> None:
        if channel.external_id is not None:
            await self.run(_STOPPING, channel.id)
            await self.account.stop_channel(channel.id, channel.external_id)
        await self.run(_FORGET, channel.id)


async def _keep_fresh(tending: _Tending, channels: list[_Kept]) -> list[_Kept] | None:
    """None while one is good for long enough; else those to stop when another is open."""
    wanted_until = tending.lease.began_at + _RENEW_BEFORE
    fresh, ending = False, list[_Kept]()
    for channel in channels:
        if channel.is_over:
            await tending.run(_FORGET, channel.id)
        elif channel.is_stopping and channel.external_id is None:
            fresh = True  # refused not long ago
        elif channel.is_stopping:
            await tending.stop(channel)
        elif channel.external_id is not None and channel.expires_at > wanted_until:
            fresh = True
        elif channel.external_id is not None:
            renewed = await tending.account.renew_channel(
                Channel(channel.external_id, channel.expires_at), LASTS
            )
            if renewed is None:
                ending.append(channel)
            else:
                await tending.run(_OPEN, channel.id, renewed.external_id, renewed.expires_at)
                fresh = True
    return None if fresh else ending


async def note_push(
    db: Connection, *, secret: str, id_: UUID | None = None, external_id: str | None = None
) -> bool:
    """A message has come through the channel with our id, or the provider's: its account is
    visited soon. False, and nothing happens, when no channel has this secret."""
    found = await db.fetchrow(_FIND, id_, external_id)
    known = found["secret_hash"] if found is not None else b""
    if not hmac.compare_digest(known, _hash(secret)) or found is None:
        return False
    await nudge(db, found["connection_id"])
    return True


def _hash(secret: str) -> bytes:
    return hashlib.sha256(b"calendar push channel\0" + secret.encode()).digest()
