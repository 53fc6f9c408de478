"""First answers, stored in the transaction of the effect that they tell of."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, Self
from uuid import UUID

import orjson
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from shared.db import Connection
from shared.errors import Conflict
from shared.idempotency.keys import IdempotencyKeyReused, RequestInProgress, RequestKey
from shared.problems import problem_of

KEPT_FOR = timedelta(hours=72)
"""How long the same key gets the same answer."""

KEPT_ONCE = "idempotency_keys_pkey"
KEPT_COLUMNS = "caller, operation, key, fingerprint, status, headers, body"

_BATCH = 1000

_ASKED_AGAIN = Counter(
    "idempotent_requests_repeated_total", "Requests whose key was known already.", ["outcome"]
)
for _outcome in ("in_progress", "replayed", "reused"):
    _ASKED_AGAIN.labels(_outcome)

# One round trip. The lock keeps a second request with the same key out while the first works; it
# goes with the transaction, however that ends. An answer that is there needs no lock.
_LOOK = """
    SELECT stored.fingerprint, stored.status, stored.headers::text, stored.body,
        CASE WHEN stored.status IS NULL THEN pg_try_advisory_xact_lock($1) END
    FROM (VALUES (1)) AS one
    LEFT JOIN idempotency_keys AS stored
        ON stored.caller = $2 AND stored.operation = $3 AND stored.key = $4
"""

# _LOOK reads as of an instant before it has the lock: the first request may have committed in
# between. Then the primary key refuses a second answer, and the effect is undone.
_KEEP = f"""
    INSERT INTO idempotency_keys ({KEPT_COLUMNS})
    VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7)
    ON CONFLICT DO NOTHING RETURNING true
"""

_PURGE = """
    DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM idempotency_keys WHERE created_at < now() - $1::interval
        ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
    ))
"""

Fetch = Callable[..., Awaitable[Any]]
"""Runs one statement and gives its first row, read by position."""


class Kept(NamedTuple):
    """A row of ``idempotency_keys``, as ``KEPT_COLUMNS`` has it; the headers are JSON text."""

    caller: UUID
    operation: str
    key: str
    fingerprint: bytes
    status: int
    headers: str
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it goes out: the same bytes the first time and every other time."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def refusing(cls, refusal: Conflict) -> Self:
        response = problem_of(refusal)
        headers = {
            name: value for name, value in response.headers.items() if name != "content-length"
        }
        return cls(response.status_code, headers, bytes(response.body))

    def first(self) -> Response:
        return Response(self.body or None, self.status, self.headers)

    def kept(self, key: RequestKey) -> Kept:
        """The row that keeps it, for a statement that writes its effect as well."""
        headers = orjson.dumps(self.headers).decode()
        return Kept(
            key.caller, key.operation, key.key, key.fingerprint, self.status, headers, self.body
        )

    def again(self) -> Response:
        return Response(
            self.body or None, self.status, {**self.headers, "Idempotent-Replayed": "true"}
        )


def fetching(db: "Connection | AsyncSession") -> Fetch:
    """How ``db`` runs a statement, inside the transaction that it has open."""
    if not isinstance(db, AsyncSession):
        return db.fetchrow

    async def fetch(statement: str, *values: Any) -> Any:
        connection = await db.connection()
        return (await connection.exec_driver_sql(statement, values)).first()

    return fetch


async def look(fetch: Fetch, key: RequestKey) -> StoredAnswer | None:
    """The first answer to ``key``; None when there is none, and from then on it is ours to give."""
    row = await fetch(_LOOK, key.lock, key.caller, key.operation, key.key)
    fingerprint, status, headers, body, locked = row
    if status is None:
        if not locked:
            _ASKED_AGAIN.labels("in_progress").inc()
            raise RequestInProgress
        return None
    if fingerprint != key.fingerprint:
        _ASKED_AGAIN.labels("reused").inc()
        raise IdempotencyKeyReused
    _ASKED_AGAIN.labels("replayed").inc()
    return StoredAnswer(status, orjson.loads(headers), body)


async def keep(fetch: Fetch, key: RequestKey, answer: StoredAnswer) -> bool:
    """False when another answer was first."""
    stored = await fetch(_KEEP, *answer.kept(key))
    return stored is not None


async def purge_idempotency_keys(db: Connection) -> bool:
    """Forget answers that have been kept long enough; True when there may be more of them."""
    purged = await db.execute(_PURGE, KEPT_FOR, _BATCH)
    return int(purged.removeprefix("DELETE ")) == _BATCH
