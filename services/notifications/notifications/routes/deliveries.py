"""What was sent to somebody."""

from notifications import queries
from notifications.access import check_user
from notifications.refusals import UserNotFound
from notifications.schemas.deliveries import DeliveriesOut, DeliveriesQuery
from shared.app import new_router
from shared.auth import CurrentUser
from shared.cursors import CursorInvalid, position_of
from shared.db import SqlReading
from shared.fields import FromQuery, Id
from shared.problems import problems

router = new_router(prefix="/v1/users/{user_id}", tags=["notifications"])


@router.get("/notification-deliveries", responses=problems(UserNotFound, CursorInvalid))
async def list_notification_deliveries(
    user_id: Id, wanted: FromQuery[DeliveriesQuery], db: SqlReading, user: CurrentUser
) -> DeliveriesOut:
    """What was sent to the user, when, over which channel and how it ended; the latest first."""
    check_user(user, user_id)
    rows = await queries.deliveries_to(
        db, user_id, after=position_of(wanted.cursor), limit=wanted.limit + 1
    )
    return DeliveriesOut.of(rows, limit=wanted.limit)
