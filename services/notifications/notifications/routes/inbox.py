"""The inbox in the app: list it, mark what has been read."""

from fastapi import Response

from notifications import inbox
from notifications.access import check_user
from notifications.refusals import NotificationNotFound, UserNotFound
from notifications.schemas.inbox import InboxOut, InboxQuery, UnreadOut
from shared.app import new_router
from shared.auth import CurrentUser
from shared.cursors import CursorInvalid, position_of
from shared.db import Connection, SqlReading
from shared.fields import FromQuery, Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.problems import problems

router = new_router(prefix="/v1/users/{user_id}/notifications", tags=["notifications"])


@router.get("", responses=problems(UserNotFound, CursorInvalid))
async def list_notifications(
    user_id: Id, wanted: FromQuery[InboxQuery], db: SqlReading, user: CurrentUser
) -> InboxOut:
    """What the user has been told, the latest first, and how much of it is unread."""
    check_user(user, user_id)
    rows = await inbox.entries(
        db,
        user_id,
        after=position_of(wanted.cursor),
        limit=wanted.limit + 1,
        only_unread=wanted.unread,
    )
    return InboxOut.of(rows, limit=wanted.limit, unread=await inbox.unread(db, user_id))


@router.post("/read", response_model=UnreadOut, responses=problems(UserNotFound, *KEY_REFUSALS))
async def mark_all_notifications_read(user_id: Id, once: OnceIfKeyed) -> Response:
    """All that is in the inbox now."""
    check_user(once.user, user_id)

    async def act(db: Connection) -> UnreadOut:
        await inbox.mark_all_read(db, user_id)
        return UnreadOut(unread_count=await inbox.unread(db, user_id))

    return await once.in_sql(act)


@router.post(
    "/{notification_id}/read",
    response_model=UnreadOut,
    responses=problems(UserNotFound, NotificationNotFound, *KEY_REFUSALS),
)
async def mark_notification_read(user_id: Id, notification_id: Id, once: OnceIfKeyed) -> Response:
    """One of them; reading it again changes nothing."""
    check_user(once.user, user_id)

    async def act(db: Connection) -> UnreadOut:
        if not await inbox.mark_read(db, user_id, notification_id):
            raise NotificationNotFound
        return UnreadOut(unread_count=await inbox.unread(db, user_id))

    return await once.in_sql(act)
