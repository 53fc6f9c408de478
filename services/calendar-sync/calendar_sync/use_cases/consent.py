"""A consent is begun, and whoever comes back with it in the same browser takes it up, once."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from calendar_sync.consents import Journey, hash_of
from calendar_sync.refusals import (
    AlreadyConnected,
    ConnectionNotFound,
    ConsentNotFound,
    OtherAccount,
)
from calendar_sync.use_cases.connect import Opened, check_provider, connect, mend
from calendar_sync.use_cases.locking import locked
from calendar_sync.vault import Vault
from shared.db import Connection
from shared.events.calendar import CalendarKind
from shared.ids import new_id

LASTS = timedelta(minutes=10)

_FORGET = """
DELETE FROM consents WHERE state_hash IN (
    SELECT state_hash FROM consents WHERE expires_at < now() LIMIT 100 FOR UPDATE SKIP LOCKED
)
"""
_BEGIN = """
INSERT INTO consents
    (state_hash, kind, provider_id, started_by, connection_id, verifier, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, now() + $7::interval)
"""
_TAKE = """
DELETE FROM consents WHERE state_hash = $1 AND kind = $2 AND expires_at > now()
RETURNING provider_id, started_by, connection_id, verifier
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to consent to."""

    kind: CalendarKind
    provider_id: UUID
    started_by: UUID
    connection_id: UUID | None
    """The connection that is to be mended; none when a new one is wanted."""


@dataclass(frozen=True, slots=True)
class Consent:
    """A wish whose owner has come back."""

    wish: Wish
    verifier: str


async def begin_consent(db: Connection, wish: Wish, *, secret: str, vault: Vault) -> UUID:
    """From its id the journey's secrets are made. Raises ProviderNotFound, ConnectionNotFound,
    ConnectionEnding."""
    await check_provider(db, wish.provider_id)
    if wish.connection_id is not None:
        connection = await locked(db, wish.provider_id, wish.connection_id)
        if connection["kind"] != wish.kind:
            raise ConnectionNotFound
    await db.execute(_FORGET)
    id_ = new_id()
    journey = Journey.of(id_, secret)
    state_hash = hash_of(journey.state, journey.browser)
    sealed = vault.seal_verifier(state_hash, journey.verifier)
    fixed = (wish.kind, wish.provider_id, wish.started_by, wish.connection_id, sealed)
    await db.execute(_BEGIN, state_hash, *fixed, LASTS)
    return id_


async def take_consent(
    db: Connection, kind: CalendarKind, *, state: str, browser: str, vault: Vault
) -> Consent:
    """Nobody can take it again. Raises ConsentNotFound, and then nothing has changed."""
    state_hash = hash_of(state, browser)
    row = await db.fetchrow(_TAKE, state_hash, kind)
    if row is None:
        raise ConsentNotFound
    wish = Wish(kind, row["provider_id"], row["started_by"], row["connection_id"])
    return Consent(wish, vault.open_verifier(state_hash, row["verifier"]))


async def connect_consented(db: Connection, wish: Wish, opened: Opened, vault: Vault) -> UUID:
    """A new connection, or the one that the account has already, mended under its old id.

    Raises OtherAccount when that is not the one which was to be mended, ProviderNotFound,
    TooManyConnections.
    """
    try:
        id_ = await connect(db, wish.provider_id, opened, vault)
    except AlreadyConnected as known:
        id_ = known.members["connectionId"]
        await locked(db, wish.provider_id, id_)
        await mend(db, id_, opened.credentials, vault)
    if wish.connection_id not in (None, id_):
        raise OtherAccount
    return id_
