"""What was sent, as those see it whom it concerns."""

from typing import Self
from uuid import UUID

import asyncpg

from shared.cursors import Position
from shared.fields import Answer, Cursor, Instant, Limit, Query


class DeliveriesQuery(Query):
    limit: Limit = 20
    cursor: Cursor | None = None


class DeliveryOut(Answer):
    """One attempt to tell somebody something; where it went is not shown."""

    id: UUID
    notification_id: UUID
    """The same for every attempt of one notification."""
    kind: str
    channel: str
    appointment_id: UUID | None
    attempt: int
    status: str
    """``sending``, ``sent``, ``deferred``, ``refused``, or ``unknown`` when nobody can say."""
    message_id: str
    started_at: Instant
    finished_at: Instant | None


class DeliveriesOut(Answer):
    items: list[DeliveryOut]
    next_cursor: str | None

    @classmethod
    def of(cls, rows: list[asyncpg.Record], *, limit: int) -> Self:
        """``rows`` may hold one more than ``limit``, which tells that there is another page."""
        items = [DeliveryOut(**dict(row)) for row in rows[:limit]]
        more = len(rows) > limit
        return cls(
            items=items,
            next_cursor=Position(items[-1].started_at, items[-1].id).cursor() if more else None,
        )
