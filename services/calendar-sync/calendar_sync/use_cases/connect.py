"""Connect a provider's account; its login has been tried before."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

import orjson

from calendar_sync.calendars.contract import Credentials, RemoteCalendar
from calendar_sync.refusals import (
    AlreadyConnected,
    NoPassword,
    ProviderNotFound,
    TooManyConnections,
)
from calendar_sync.sync.lease import nudge
from calendar_sync.sync.listing import row_of
from calendar_sync.use_cases.locking import locked
from calendar_sync.vault import Vault
from shared.db import Connection
from shared.events.calendar import CalendarKind
from shared.ids import new_id

MOST_CONNECTIONS = 10
_MOST_CALENDARS = 100

_PROVIDER = "SELECT true FROM providers WHERE id = $1 AND NOT is_deleted FOR NO KEY UPDATE"
_KNOWN = "SELECT id, kind, account_hash FROM connections WHERE provider_id = $1"
_CREATE = """
INSERT INTO connections
    (id, provider_id, kind, account, place, account_hash, credentials, state, listed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'connected', now())
"""
_CALENDAR = """
INSERT INTO calendars (id, connection_id, external_id, name, timezone, is_writable, is_primary,
    is_busy, is_target)
VALUES ($1, $2, $3, $4, $5, $6, $7, true, $8)
"""
_MEND = """
UPDATE connections
SET credentials = $2, state = 'connected', broken_because = NULL, failures = 0,
    last_error = NULL, last_error_at = NULL, told_at = NULL, not_before = NULL,
    next_visit_at = now(), lease_id = NULL, lease_until = NULL
WHERE id = $1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An account whose login works."""

    kind: CalendarKind
    account: str
    """What its owner knows it by."""
    place: str
    identity: str
    """Tells it from every other account of its kind."""
    credentials: Credentials
    calendars: Sequence[RemoteCalendar]


async def check_provider(db: Connection, provider_id: UUID) -> None:
    """Locks the provider, so that its connections are counted right. Raises ProviderNotFound."""
    if not await db.fetchval(_PROVIDER, provider_id):
        raise ProviderNotFound


async def connect(db: Connection, provider_id: UUID, opened: Opened, vault: Vault) -> UUID:
    """The new connection: all its calendars make busy, and appointments are written to the
    primary one, or the first that can be written to.

    Raises ProviderNotFound, AlreadyConnected, TooManyConnections.
    """
    await check_provider(db, provider_id)
    known = await db.fetch(_KNOWN, provider_id)
    account_hash = sha256(f"{opened.kind} {opened.identity}".encode()).digest()
    for row in known:
        if row["kind"] == opened.kind and row["account_hash"] == account_hash:
            raise AlreadyConnected(connectionId=row["id"])
    if len(known) >= MOST_CONNECTIONS:
        raise TooManyConnections(f"{MOST_CONNECTIONS} are connected; disconnect one first")
    id_ = new_id()
    sealed = vault.seal(id_, orjson.dumps(opened.credentials))
    fixed = (opened.account, opened.place, account_hash, sealed)
    await db.execute(_CREATE, id_, provider_id, opened.kind, *fixed)
    target = _target(opened.calendars)
    for calendar in opened.calendars[:_MOST_CALENDARS]:
        await db.execute(_CALENDAR, new_id(), id_, *row_of(calendar), calendar is target)
    return id_


async def credentials_of(db: Connection, provider_id: UUID, id_: UUID, vault: Vault) -> Credentials:
    """Those with a password. Raises ConnectionNotFound, ConnectionEnding, NoPassword."""
    connection = await locked(db, provider_id, id_)
    if connection["kind"] != "caldav":
        raise NoPassword
    credentials: Credentials = orjson.loads(vault.open(id_, connection["credentials"]))
    return credentials


async def mend(db: Connection, id_: UUID, credentials: Credentials, vault: Vault) -> None:
    """The connection works again with other credentials; who was there is overtaken by them."""
    await db.execute(_MEND, id_, vault.seal(id_, orjson.dumps(credentials)))
    await nudge(db, id_)


def _target(calendars: Sequence[RemoteCalendar]) -> RemoteCalendar | None:
    writable = [calendar for calendar in calendars if calendar.is_writable]
    return next((each for each in writable if each.is_primary), writable[0] if writable else None)
