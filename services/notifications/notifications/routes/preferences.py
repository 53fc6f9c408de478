"""How somebody wants to be told: read it, set it."""

from fastapi import Response

from notifications.access import check_user
from notifications.refusals import UserNotFound
from notifications.schemas.preferences import PreferencesIn, PreferencesOut
from notifications.use_cases.preferences import preferences_of, set_preferences
from shared.app import new_router
from shared.auth import CurrentUser
from shared.db import Connection, SqlReading
from shared.fields import Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.problems import problems

router = new_router(
    prefix="/v1/users/{user_id}/notification-preferences", tags=["notification preferences"]
)


@router.get("", responses=problems(UserNotFound))
async def get_notification_preferences(
    user_id: Id, db: SqlReading, user: CurrentUser
) -> PreferencesOut:
    """What holds now; defaults where the user has set nothing."""
    check_user(user, user_id)
    return PreferencesOut.of(user_id, await preferences_of(db, user_id))


@router.put("", response_model=PreferencesOut, responses=problems(UserNotFound, *KEY_REFUSALS))
async def set_notification_preferences(
    user_id: Id, body: PreferencesIn, once: OnceIfKeyed
) -> Response:
    """Replace all of them; what is planned already follows at once."""
    check_user(once.user, user_id)

    async def act(db: Connection) -> PreferencesOut:
        return PreferencesOut.of(user_id, await set_preferences(db, user_id, body.preferences()))

    return await once.in_sql(act)
