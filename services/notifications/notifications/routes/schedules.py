"""When people are told of a provider's appointments, for each appointment type."""

from uuid import UUID

from fastapi import Response

from notifications.access import check_provider
from notifications.refusals import ProviderNotFound, TooManySchedules
from notifications.schemas.schedules import ScheduleIn, ScheduleOut
from notifications.use_cases.schedules import (
    Schedule,
    drop_schedule,
    schedule_of,
    set_schedule,
)
from shared.app import new_router
from shared.auth import CurrentUser
from shared.db import Connection, SqlReading, SqlTransaction
from shared.fields import Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.problems import problems

router = new_router(
    prefix="/v1/providers/{provider_id}/notification-schedules", tags=["notification schedules"]
)


@router.get("/{service_id}", responses=problems(ProviderNotFound))
async def get_notification_schedule(
    provider_id: Id, service_id: Id, db: SqlReading, user: CurrentUser
) -> ScheduleOut:
    """What is told at its time of appointments of this type; the default until it is set."""
    check_provider(user, provider_id)
    return _shown(provider_id, service_id, await schedule_of(db, provider_id, service_id))


@router.put(
    "/{service_id}",
    response_model=ScheduleOut,
    responses=problems(ProviderNotFound, TooManySchedules, *KEY_REFUSALS),
)
async def set_notification_schedule(
    provider_id: Id, service_id: Id, body: ScheduleIn, once: OnceIfKeyed
) -> Response:
    """For what is booked or changed from now on; what is planned already stays."""
    check_provider(once.user, provider_id)

    async def act(db: Connection) -> ScheduleOut:
        lines = [each.line() for each in body.lines]
        return _shown(
            provider_id, service_id, await set_schedule(db, provider_id, service_id, lines)
        )

    return await once.in_sql(act)


@router.delete("/{service_id}", status_code=204, responses=problems(ProviderNotFound))
async def delete_notification_schedule(
    provider_id: Id, service_id: Id, db: SqlTransaction, user: CurrentUser
) -> None:
    """Back to the default."""
    check_provider(user, provider_id)
    await drop_schedule(db, provider_id, service_id)


def _shown(provider_id: UUID, service_id: UUID, schedule: Schedule) -> ScheduleOut:
    return ScheduleOut(
        provider_id=provider_id,
        service_id=service_id,
        is_default=schedule.updated_at is None,
        lines=ScheduleOut.lines_of(schedule.lines),
        updated_at=schedule.updated_at,
    )
