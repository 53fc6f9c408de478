"""The external calendars behind an answer, and what follows when one cannot be trusted."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from shared.fields import instant_text

STALE_AFTER = timedelta(hours=1)
"""A calendar that nobody has read for so long is not trusted, whatever was said of it last."""


class UnhealthyCalendarPolicy(StrEnum):
    """What becomes of times over a calendar that cannot be trusted."""

    SHOWN = "shown"
    MARKED = "marked"
    CLOSED = "closed"


class Source(NamedTuple):
    connection_id: UUID
    kind: str
    state: str
    as_of: datetime | None

    def is_healthy(self, now: datetime) -> bool:
        return (
            self.state == "connected" and self.as_of is not None and now < self.as_of + STALE_AFTER
        )


def told(sources: Sequence[Source], now: datetime) -> list[dict[str, Any]]:
    """Ready for JSON; without ids, because who has which calendar is nobody's business."""
    return [
        {
            "kind": each.kind,
            "asOf": each.as_of and instant_text(each.as_of),
            "healthy": each.is_healthy(now),
        }
        for each in sources
    ]
