"""One-off ranges in which a provider is closed, or open."""

from fastapi import Response
from sqlalchemy.ext.asyncio import AsyncSession

from availability.access import Staff, seen_provider
from availability.models import AvailabilityException
from availability.ownership import own
from availability.ranges import ranges_of
from availability.refusals import (
    BelongsToImport,
    BelongsToTimeOff,
    ExceptionNotFound,
    ProviderNotFound,
    TooMany,
)
from availability.schemas.exceptions import (
    ExceptionChangesIn,
    ExceptionIn,
    ExceptionOut,
    ExceptionsOut,
    ExceptionsQuery,
)
from availability.use_cases.exceptions import add_exception, change_exception, remove_exception
from shared.app import new_router
from shared.cursors import CursorInvalid
from shared.db import Reading, Transaction
from shared.fields import FromQuery, Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.problems import problems

router = new_router(prefix="/v1/providers/{provider_id}/exceptions", tags=["exceptions"])


@router.post(
    "",
    status_code=201,
    response_model=ExceptionOut,
    responses=problems(ProviderNotFound, TooMany, *KEY_REFUSALS),
)
async def create_exception(
    provider_id: Id, body: ExceptionIn, once: OnceIfKeyed, _: Staff
) -> Response:
    """Close or open a range; appointments in a closed one stay, and are told as conflicts."""

    async def add(db: AsyncSession) -> AvailabilityException:
        return await add_exception(db, provider_id, body.as_new())

    return await once.in_session(
        add, headers=lambda made: {"Location": f"/v1/providers/{provider_id}/exceptions/{made.id}"}
    )


@router.get("", response_model=ExceptionsOut, responses=problems(ProviderNotFound, CursorInvalid))
async def list_exceptions(
    provider_id: Id, wanted: FromQuery[ExceptionsQuery], db: Reading, user: Staff
) -> ExceptionsOut:
    """All of them, approved time off and imported calendars included, by their beginning."""
    await seen_provider(db, user, provider_id)
    items, cursor = await ranges_of(
        db,
        AvailabilityException,
        provider_id,
        since=wanted.from_,
        until=wanted.to,
        limit=wanted.limit,
        cursor=wanted.cursor,
    )
    return ExceptionsOut(
        items=[ExceptionOut.model_validate(each) for each in items], next_cursor=cursor
    )


@router.get(
    "/{exception_id}",
    response_model=ExceptionOut,
    responses=problems(ProviderNotFound, ExceptionNotFound),
)
async def get_exception(
    provider_id: Id, exception_id: Id, db: Reading, user: Staff
) -> AvailabilityException:
    """One exception."""
    await seen_provider(db, user, provider_id)
    return await own(db, AvailabilityException, provider_id, exception_id)


@router.patch(
    "/{exception_id}",
    response_model=ExceptionOut,
    responses=problems(ProviderNotFound, ExceptionNotFound, BelongsToTimeOff, BelongsToImport),
)
async def update_exception(
    provider_id: Id, exception_id: Id, body: ExceptionChangesIn, db: Transaction, _: Staff
) -> AvailabilityException:
    """Change the given fields."""
    return await change_exception(db, provider_id, exception_id, body.changes())


@router.delete(
    "/{exception_id}",
    status_code=204,
    responses=problems(ProviderNotFound, ExceptionNotFound, BelongsToTimeOff, BelongsToImport),
)
async def delete_exception(provider_id: Id, exception_id: Id, db: Transaction, _: Staff) -> None:
    """Its range is what the weekly hours make of it again."""
    await remove_exception(db, provider_id, exception_id)
