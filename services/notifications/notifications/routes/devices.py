"""Devices on which people want push messages."""

from fastapi import Response

from notifications import devices
from notifications.access import check_user
from notifications.refusals import DeviceNotFound, UserNotFound
from notifications.schemas.devices import DeviceIn, DeviceOut
from shared.app import new_router
from shared.auth import CurrentUser
from shared.db import Connection, SqlTransaction
from shared.fields import Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.problems import problems

router = new_router(prefix="/v1/users/{user_id}/push-devices", tags=["push devices"])


@router.post(
    "",
    status_code=201,
    response_model=DeviceOut,
    responses=problems(UserNotFound, *KEY_REFUSALS),
)
async def register_push_device(user_id: Id, body: DeviceIn, once: OnceIfKeyed) -> Response:
    """From the next message on; a device that somebody else had registered is theirs no more."""
    check_user(once.user, user_id)

    async def act(db: Connection) -> DeviceOut:
        id_ = await devices.register(db, user_id, token=body.token, platform=body.platform)
        return DeviceOut(id=id_, platform=body.platform)

    return await once.in_sql(act)


@router.delete("/{device_id}", status_code=204, responses=problems(UserNotFound, DeviceNotFound))
async def remove_push_device(
    user_id: Id, device_id: Id, db: SqlTransaction, user: CurrentUser
) -> None:
    """No more push messages there."""
    check_user(user, user_id)
    if not await devices.remove(db, user_id, device_id):
        raise DeviceNotFound
