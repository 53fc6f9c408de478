"""HTTP in, one read, HTTP out."""

from notifications import queries
from notifications.refusals import UserNotFound
from notifications.schemas import DeliveriesOut, DeliveriesQuery
from shared.app import new_router
from shared.auth import CurrentUser, Principal, Role
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
    if not _may_see(user, user_id):
        raise UserNotFound("no such user")
    rows = await queries.deliveries_to(
        db, user_id, after=position_of(wanted.cursor), limit=wanted.limit + 1
    )
    return DeliveriesOut.of(rows, limit=wanted.limit)


def _may_see(user: Principal, user_id: object) -> bool:
    is_owner = user.id == user_id and user.role in (Role.PATIENT, Role.PROVIDER)
    return is_owner or user.role is Role.ADMIN
