"""An account whose owner consents at their provider (OAuth 2, PKCE): sent there, and come back."""

import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from calendar_sync.refusals import ConsentNotFound
from calendar_sync.vault import Vault
from shared.db import Connection
from shared.events.calendar import CalendarKind

LASTS = timedelta(minutes=15)

_BEGIN = """
INSERT INTO consents
    (state_hash, kind, provider_id, started_by, connection_id, verifier, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, now() + $7::interval)
"""
_TAKE = """
DELETE FROM consents WHERE state_hash = $1 AND kind = $2 AND started_by = $3
RETURNING provider_id, connection_id, verifier, expires_at > now() AS is_in_time
"""
_PURGE = "DELETE FROM consents WHERE expires_at < now()"


@dataclass(frozen=True, slots=True)
class Begun:
    """What goes along to the provider."""

    state: str
    challenge: str
    """Of the method S256."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What has come back with the state."""

    provider_id: UUID
    connection_id: UUID | None
    """The broken connection that is to be mended."""
    verifier: str


async def begin_consent(
    db: Connection,
    kind: CalendarKind,
    provider_id: UUID,
    *,
    started_by: UUID,
    vault: Vault,
    connection_id: UUID | None = None,
) -> Begun:
    """Good once, for whoever has begun it, and not for long."""
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    await db.execute(_PURGE)
    sealed = vault.seal_verifier(_hash(state), verifier)
    fixed = (kind, provider_id, started_by, connection_id, sealed)
    await db.execute(_BEGIN, _hash(state), *fixed, LASTS)
    digest = sha256(verifier.encode()).digest()
    return Begun(state, urlsafe_b64encode(digest).decode().rstrip("="))


async def take_consent(
    db: Connection, kind: CalendarKind, state: str, *, started_by: UUID, vault: Vault
) -> Consent:
    """Whoever comes second, too late, or is not who began it, gets ConsentNotFound."""
    found = await db.fetchrow(_TAKE, _hash(state), kind, started_by)
    if found is None or not found["is_in_time"]:
        raise ConsentNotFound
    verifier = vault.open_verifier(_hash(state), found["verifier"])
    return Consent(found["provider_id"], found["connection_id"], verifier)


def _hash(state: str) -> bytes:
    return sha256(b"calendar consent\0" + state.encode(errors="replace")).digest()
