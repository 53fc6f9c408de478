"""What people find in their inbox."""

from typing import Self
from uuid import UUID

import asyncpg

from shared.cursors import Position
from shared.fields import Answer, Cursor, Flag, Instant, Limit, Query


class InboxQuery(Query):
    limit: Limit = 20
    cursor: Cursor | None = None
    unread: Flag = False
    """Only what has not been read yet."""


class NotificationOut(Answer):
    id: UUID
    kind: str
    appointment_id: UUID | None
    title: str
    text: str
    link: str
    created_at: Instant
    read_at: Instant | None


class InboxOut(Answer):
    items: list[NotificationOut]
    next_cursor: str | None
    unread_count: int
    """Of all that is in the inbox; no more than 1,000 are counted."""

    @classmethod
    def of(cls, rows: list[asyncpg.Record], *, limit: int, unread: int) -> Self:
        """``rows`` may hold one more than ``limit``, which tells that there is another page."""
        items = [NotificationOut(**dict(row)) for row in rows[:limit]]
        more = len(rows) > limit
        return cls(
            items=items,
            next_cursor=Position(items[-1].created_at, items[-1].id).cursor() if more else None,
            unread_count=unread,
        )


class UnreadOut(Answer):
    unread_count: int
