"""The inbox: which events a consumer has had, so that a second delivery has no second effect."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from shared.db import Connection, Database
from shared.events.envelope import Event

MINIMUM_RETENTION = timedelta(days=30)

_REMEMBER = """
    INSERT INTO inbox (consumer, event_id, source)
    SELECT $1, event_id, source FROM unnest($2::uuid[], $3::text[]) AS event (event_id, source)
    ON CONFLICT DO NOTHING
    RETURNING event_id
"""
_FORGET = "DELETE FROM inbox WHERE consumer = $1 AND event_id = ANY($2::uuid[])"
_PURGE = """
    DELETE FROM inbox WHERE (consumer, event_id) IN (
        SELECT consumer, event_id FROM inbox
        WHERE received_at < now() - $1::interval ORDER BY received_at LIMIT $2
    )
"""

_CHUNK = 1000


async def remember(
    connection: Connection, consumer: str, events: Sequence[Event[Any]]
) -> set[UUID]:
    """Note the events as had; returns the ids of those that are new to this consumer.

    Waits for another process that has the same event in hand, and sees what became of it.
    """
    rows = await connection.fetch(
        _REMEMBER, consumer, [event.id for event in events], [event.source for event in events]
    )
    return {row["event_id"] for row in rows}


async def forget(connection: Connection, consumer: str, events: Collection[UUID]) -> None:
    """The consumer will take these events again."""
    await connection.execute(_FORGET, consumer, list(events))


async def purge_inbox(database: Database, older_than: timedelta = MINIMUM_RETENTION) -> int:
    """Forget events received longer ago, in short transactions; returns how many."""
    if older_than < MINIMUM_RETENTION:
        raise ValueError(f"the inbox remembers for at least {MINIMUM_RETENTION.days} days")
    deleted = 0
    while True:
        async with database.transaction() as connection:
            status = await connection.execute(_PURGE, older_than, _CHUNK)
        count = int(status.split()[-1])
        deleted += count
        if count < _CHUNK:
            return deleted
