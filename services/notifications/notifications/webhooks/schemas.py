"""What owners of endpoints send and get."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

import asyncpg
from pydantic import Field

from notifications.webhooks.endpoints import MOST_REPLAYED, Wish
from notifications.webhooks.signing import shown
from shared.cursors import Position
from shared.fields import Answer, Cursor, Flag, Instant, Limit, OneOf, Query, Text, Whole
from shared.idempotency import KeyedBody

_LARGEST_POSITION = 2**53


class EventType(StrEnum):
    """What an endpoint can hear of."""

    REQUESTED = "booking.requested"
    CONFIRMED = "booking.confirmed"
    RESCHEDULED = "booking.rescheduled"
    CANCELLED = "booking.cancelled"
    COMPLETED = "booking.completed"
    NO_SHOW = "booking.no_show"


class EndpointIn(KeyedBody):
    url: Annotated[str, Text(2000)]
    description: Annotated[str, Text(200, least=0)] = ""
    events: Annotated[list[OneOf[EventType]], Field(min_length=1, max_length=20)] = Field(
        default_factory=lambda: list(EventType)
    )
    is_enabled: Flag = True

    def wish(self) -> Wish:
        events = list(dict.fromkeys(event.value for event in self.events))
        return Wish(self.url, self.description, events, self.is_enabled)


class ReplayIn(KeyedBody):
    after_position: Annotated[int, Whole(0, _LARGEST_POSITION)]


class LogQuery(Query):
    limit: Limit = 20
    cursor: Cursor | None = None


class EndpointOut(Answer):
    id: UUID
    provider_id: UUID | None
    url: str
    description: str
    events: list[str]
    is_enabled: bool
    disabled_because: Literal["by_hand", "gone", "failing"] | None
    failing_since: Instant | None
    old_secret_until: Instant | None
    created_at: Instant
    secret: str | None = None
    """Only in the first answer to the call that made it."""

    @classmethod
    def of(cls, row: asyncpg.Record, secret: bytes | None = None) -> Self:
        return cls(**dict(row), secret=None if secret is None else shown(secret))


class EndpointsOut(Answer):
    items: list[EndpointOut]
    next_cursor: str | None = None


class DeliveryOut(Answer):
    id: UUID
    position: int
    """Where its event stands in the log that can be replayed."""
    type: str
    status: Literal["queued", "sending", "delivered", "failed"]
    attempts: int
    last_status: int | None
    last_error: str | None
    due_at: Instant
    occurred_at: Instant
    created_at: Instant
    ended_at: Instant | None

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        return cls(**{name: row[name] for name in cls.model_fields})


class DeliveryLogOut(Answer):
    items: list[DeliveryOut]
    next_cursor: str | None

    @classmethod
    def of(cls, rows: Sequence[asyncpg.Record], *, limit: int) -> Self:
        shown_rows = rows[:limit]
        last = shown_rows[-1] if len(rows) > limit else None
        cursor = None if last is None else Position(last["created_at"], last["id"]).cursor()
        return cls(items=[DeliveryOut.of(row) for row in shown_rows], next_cursor=cursor)


class ReplayOut(Answer):
    queued: Annotated[int, Field(le=MOST_REPLAYED)]
