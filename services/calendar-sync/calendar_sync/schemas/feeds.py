"""Links to calendar feeds, as clients see them."""

from typing import Annotated
from uuid import UUID

from shared.fields import Answer, Body, Flag, Instant, Name
from shared.fields.parsed import Parsed

LinkToken = Annotated[
    str,
    # A malformed token gets the same 404 as an unknown one.
    Parsed(str, {"type": "string", "pattern": "^[A-Za-z0-9_-]{32}$"}),
]


class FeedLinkIn(Body):
    label: Name | None = None
    """Where the link will be used, to tell several apart: "my phone"."""
    detailed: Flag = False
    """True when the calendar may say what an appointment is, and to its patient also with whom."""


class FeedLinkOut(Answer):
    id: UUID
    label: str | None
    detailed: bool = False
    created_at: Instant


class NewFeedLinkOut(FeedLinkOut):
    url: str
    """Whoever has this address can read the feed. It is shown here and never again."""


class FeedLinksOut(Answer):
    items: list[FeedLinkOut]
