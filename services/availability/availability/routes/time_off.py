"""Time off: asked for, decided, withdrawn."""

from fastapi import Response
from sqlalchemy.ext.asyncio import AsyncSession

from availability.access import Staff, seen_provider
from availability.domain.time_off import IllegalTransition
from availability.models import TimeOffRequest
from availability.ownership import own
from availability.ranges import ranges_of
from availability.refusals import ProviderNotFound, TimeOffNotFound
from availability.schemas.time_off import (
    DecisionIn,
    TimeOffIn,
    TimeOffOut,
    TimeOffQuery,
    TimeOffsOut,
)
from availability.use_cases.time_off import (
    approve_time_off,
    reject_time_off,
    request_time_off,
    withdraw_time_off,
)
from shared.app import new_router
from shared.cursors import CursorInvalid
from shared.db import Reading, Transaction
from shared.errors import Forbidden
from shared.fields import FromQuery, Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.problems import problems

router = new_router(prefix="/v1/providers/{provider_id}/time-off", tags=["time-off"])


@router.post(
    "",
    status_code=201,
    response_model=TimeOffOut,
    responses=problems(ProviderNotFound, *KEY_REFUSALS),
)
async def create_time_off(
    provider_id: Id, body: TimeOffIn, once: OnceIfKeyed, user: Staff
) -> Response:
    """Ask for time off; where the practice wants no approval it is approved with that."""

    async def ask(db: AsyncSession) -> TimeOffRequest:
        return await request_time_off(db, provider_id, body.as_new(), user=user)

    return await once.in_session(
        ask, headers=lambda made: {"Location": f"/v1/providers/{provider_id}/time-off/{made.id}"}
    )


@router.get("", response_model=TimeOffsOut, responses=problems(ProviderNotFound, CursorInvalid))
async def list_time_off(
    provider_id: Id, wanted: FromQuery[TimeOffQuery], db: Reading, user: Staff
) -> TimeOffsOut:
    """All requests, whatever became of them, by their beginning."""
    await seen_provider(db, user, provider_id)
    of_status = [TimeOffRequest.status == wanted.status.value] if wanted.status else []
    items, cursor = await ranges_of(
        db,
        TimeOffRequest,
        provider_id,
        *of_status,
        since=wanted.from_,
        until=wanted.to,
        limit=wanted.limit,
        cursor=wanted.cursor,
    )
    return TimeOffsOut(
        items=[TimeOffOut.model_validate(each) for each in items], next_cursor=cursor
    )


@router.get(
    "/{request_id}",
    response_model=TimeOffOut,
    responses=problems(ProviderNotFound, TimeOffNotFound),
)
async def get_time_off(provider_id: Id, request_id: Id, db: Reading, user: Staff) -> TimeOffRequest:
    """One request."""
    await seen_provider(db, user, provider_id)
    return await own(db, TimeOffRequest, provider_id, request_id)


@router.post(
    "/{request_id}/approve",
    operation_id="approve_time_off",
    response_model=TimeOffOut,
    responses=problems(
        ProviderNotFound, TimeOffNotFound, IllegalTransition, Forbidden, *KEY_REFUSALS
    ),
)
async def approve(
    provider_id: Id, request_id: Id, once: OnceIfKeyed, user: Staff, _: DecisionIn | None = None
) -> Response:
    """Block the time. By an admin, or the provider where the practice wants no approval."""

    async def decide(db: AsyncSession) -> TimeOffRequest:
        return await approve_time_off(db, provider_id, request_id, user=user)

    return await once.in_session(decide)


@router.post(
    "/{request_id}/reject",
    operation_id="reject_time_off",
    response_model=TimeOffOut,
    responses=problems(
        ProviderNotFound, TimeOffNotFound, IllegalTransition, Forbidden, *KEY_REFUSALS
    ),
)
async def reject(
    provider_id: Id, request_id: Id, once: OnceIfKeyed, user: Staff, _: DecisionIn | None = None
) -> Response:
    """The time stays as it is. By whoever may approve."""

    async def decide(db: AsyncSession) -> TimeOffRequest:
        return await reject_time_off(db, provider_id, request_id, user=user)

    return await once.in_session(decide)


@router.delete(
    "/{request_id}",
    operation_id="withdraw_time_off",
    status_code=204,
    responses=problems(ProviderNotFound, TimeOffNotFound, IllegalTransition),
)
async def withdraw(provider_id: Id, request_id: Id, db: Transaction, user: Staff) -> None:
    """The provider will be there after all; the request stays in the list as withdrawn."""
    await withdraw_time_off(db, provider_id, request_id, user=user)
