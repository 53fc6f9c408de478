"""Who may open a stream, and how many each user has open, in all copies of the API together."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from shared.auth import Principal, Role
from shared.db import Connection

TICKET_LIFE = timedelta(seconds=60)
_TICKET_BYTES = 32
_SILENT = timedelta(seconds=45)
"""A copy of the API that has not been seen for so long is gone."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Opens streams for a short time, for clients that cannot send headers."""

    text: str
    expires_at: datetime


async def issue_ticket(db: Connection, user: Principal) -> Ticket:
    """Only its hash is kept."""
    text = secrets.token_urlsafe(_TICKET_BYTES)
    expires_at = await db.fetchval(
        """
        INSERT INTO realtime_tickets (hash, user_id, role, expires_at)
        VALUES ($1, $2, $3, now() + $4::interval) RETURNING expires_at
        """,
        _hash(text),
        user.id,
        user.role.value,
        TICKET_LIFE,
    )
    return Ticket(text, expires_at)


async def holder_of(db: Connection, ticket: str) -> Principal | None:
    """For whom the ticket was made; None when there is none, or not any more."""
    row = await db.fetchrow(
        "SELECT user_id, role FROM realtime_tickets WHERE hash = $1 AND expires_at > now()",
        _hash(ticket),
    )
    return None if row is None else Principal(row["user_id"], Role(row["role"]))


def _hash(ticket: str) -> bytes:
    return sha256(ticket.encode()).digest()


async def join(db: Connection) -> int:
    """A new copy of the API, by its number."""
    number: int = await db.fetchval("INSERT INTO realtime_copies DEFAULT VALUES RETURNING id")
    return number


async def leave(db: Connection, copy: int) -> None:
    await db.execute("DELETE FROM realtime_copies WHERE id = $1", copy)


async def enter(db: Connection, user_id: UUID, copy: int, number: int, *, most: int) -> bool:
    """Count one more connection of the user; False, and not counted, when there are ``most``.

    ``copy`` and ``number`` name the connection; naming one again counts it once.
    """
    # Of two at the same time the second sees the first.
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 1))", str(user_id))
    entered = await db.fetchval(
        """
        INSERT INTO realtime_connections (copy_id, number, user_id)
        SELECT id, $3, $1 FROM realtime_copies WHERE id = $2 AND $4 > (
            SELECT count(*) FROM realtime_connections c JOIN realtime_copies p ON p.id = c.copy_id
            WHERE c.user_id = $1 AND p.seen_at > now() - $5::interval
                AND (c.copy_id, c.number) <> ($2, $3)
        )
        ON CONFLICT (copy_id, number) DO UPDATE SET user_id = EXCLUDED.user_id
        RETURNING true
        """,
        user_id,
        copy,
        number,
        most,
        _SILENT,
    )
    return entered is True


async def keep(db: Connection, copy: int, numbers: Collection[int]) -> bool:
    """This copy lives, with these connections and no others; False when it was taken for dead."""
    seen = await db.fetchval(
        "UPDATE realtime_copies SET seen_at = now() WHERE id = $1 RETURNING true", copy
    )
    await db.execute(
        "DELETE FROM realtime_connections WHERE copy_id = $1 AND number <> ALL($2::bigint[])",
        copy,
        list(numbers),
    )
    return seen is True


async def end(db: Connection, copy: int, numbers: Collection[int]) -> None:
    await db.execute(
        "DELETE FROM realtime_connections WHERE copy_id = $1 AND number = ANY($2::bigint[])",
        copy,
        list(numbers),
    )


async def sweep(db: Connection) -> None:
    """A timer's tick: tickets that have run out, and copies that are gone."""
    await db.execute("DELETE FROM realtime_tickets WHERE expires_at < now()")
    await db.execute("DELETE FROM realtime_copies WHERE seen_at < now() - $1::interval", _SILENT)
