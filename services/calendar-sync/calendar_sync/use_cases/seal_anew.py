"""Encrypt credentials with the newest key, so that older ones can be taken away."""

from calendar_sync.vault import Vault
from shared.db import Connection

_AT_ONCE = 100

_NEXT = """
SELECT id, credentials FROM connections
WHERE NOT starts_with(credentials, $1) ORDER BY id LIMIT $2 FOR NO KEY UPDATE
"""


async def seal_anew(db: Connection, vault: Vault) -> bool:
    """True when there may be more. Raises NotDecryptable when a key has gone too early."""
    rows = await db.fetch(_NEXT, vault.prefix, _AT_ONCE)
    for row in rows:
        sealed = vault.seal(row["id"], vault.open(row["id"], row["credentials"]))
        await db.execute("UPDATE connections SET credentials = $2 WHERE id = $1", row["id"], sealed)
    return len(rows) == _AT_ONCE
