"""Reading the history: what is new, and what somebody has missed."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from notifications.realtime.messages import Message
from shared.db import Connection

MOST_AT_ONCE = 1000
"""Whoever has missed more is told to ask for everything again."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What came after a client's last message; ``is_complete`` is false when nobody knows any
    more, and the client must ask for everything again."""

    messages: Sequence[Message]
    is_complete: bool


NOT_KNOWN = Missed((), is_complete=False)


async def newest_position(db: Connection) -> int:
    """The position of the last message that there has been."""
    position: int = await db.fetchval(
        """
        SELECT greatest(forgotten_to, (SELECT max(position) FROM realtime_messages))
        FROM realtime_history
        """
    )
    return position


async def has_forgotten(db: Connection, position: int) -> bool:
    """Whether messages after this position are gone."""
    forgotten: bool = await db.fetchval("SELECT forgotten_to > $1 FROM realtime_history", position)
    return forgotten


async def after(db: Connection, position: int, *, limit: int = MOST_AT_ONCE) -> list[Message]:
    """The next messages of all channels, in order."""
    rows = await db.fetch(
        """
        SELECT position, channel, event, data FROM realtime_messages
        WHERE position > $1 ORDER BY position LIMIT $2
        """,
        position,
        limit,
    )
    return [_message(row) for row in rows]


async def own(db: Connection, positions: Sequence[int]) -> frozenset[int]:
    """Which of the messages did not come over the Pusher protocol."""
    rows = await db.fetch(
        "SELECT position FROM realtime_messages WHERE position = ANY($1) AND NOT is_foreign",
        list(positions),
    )
    return frozenset(row["position"] for row in rows)


async def missed(db: Connection, channels: Sequence[str], *, since: int, until: int) -> Missed:
    """The messages of these channels after ``since`` and up to ``until``."""
    rows = await db.fetch(
        """
        SELECT forgotten_to, newest, message.*
        FROM (
            SELECT forgotten_to, greatest(
                forgotten_to, (SELECT max(position) FROM realtime_messages)
            ) AS newest
            FROM realtime_history
        ) AS history
        LEFT JOIN (
            SELECT position, channel, event, data FROM realtime_messages
            WHERE channel = ANY($1::text[]) AND position > $2 AND position <= $3
            ORDER BY position LIMIT $4
        ) AS message ON true
        ORDER BY message.position
        """,
        list(channels),
        since,
        until,
        MOST_AT_ONCE + 1,
    )
    is_known = rows[0]["forgotten_to"] <= since <= rows[0]["newest"]
    messages = [_message(row) for row in rows if row["position"] is not None]
    if not is_known or len(messages) > MOST_AT_ONCE:
        return NOT_KNOWN
    return Missed(messages, is_complete=True)


def _message(row: asyncpg.Record) -> Message:
    return Message(row["position"], row["channel"], row["event"], row["data"])
