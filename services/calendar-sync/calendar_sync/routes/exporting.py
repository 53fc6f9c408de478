"""What bookings asks for when a patient wants all their data."""

from uuid import UUID

from calendar_sync.personal_data import feed_links_of
from shared.app import new_router
from shared.auth import CallingService
from shared.db import SqlReading
from shared.fields import Answer, Id, Instant

router = new_router(prefix="/internal/patients", tags=["internal"])


class FeedLinkKept(Answer):
    id: UUID
    label: str | None
    detailed: bool
    created_at: Instant
    revoked_at: Instant | None


class CalendarsKept(Answer):
    feed_links: list[FeedLinkKept]


@router.get("/{user_id}/export", response_model=CalendarsKept)
async def export(user_id: Id, db: SqlReading, _: CallingService) -> CalendarsKept:
    """The links to the patient's feed, without their addresses."""
    rows = await feed_links_of(db, user_id)
    return CalendarsKept(feed_links=[FeedLinkKept.model_validate(dict(row)) for row in rows])
