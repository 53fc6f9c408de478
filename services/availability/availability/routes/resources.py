"""The bookable units of a provider: staff, telehealth slots, equipment, and those of rooms."""

from fastapi import Response
from sqlalchemy.ext.asyncio import AsyncSession

from availability.access import Staff, seen_provider
from availability.listing import page_of
from availability.models import Resource
from availability.ownership import own
from availability.refusals import (
    BelongsToRoom,
    NoStaffLeft,
    ProviderNotFound,
    ResourceNotFound,
    StillClaimed,
    TooMany,
)
from availability.schemas.lists import PageQuery
from availability.schemas.resources import (
    ResourceChangesIn,
    ResourceIn,
    ResourceOut,
    ResourcesOut,
)
from availability.use_cases.resources import add_resource, change_resource, remove_resource
from shared.app import new_router
from shared.cursors import CursorInvalid
from shared.db import Reading, Transaction
from shared.fields import FromQuery, Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.problems import problems

router = new_router(prefix="/v1/providers/{provider_id}/resources", tags=["resources"])


@router.post(
    "",
    status_code=201,
    response_model=ResourceOut,
    responses=problems(ProviderNotFound, TooMany, *KEY_REFUSALS),
)
async def create_resource(
    provider_id: Id, body: ResourceIn, once: OnceIfKeyed, _: Staff
) -> Response:
    """One more unit; one of staff is one more appointment at the same time."""

    async def add(db: AsyncSession) -> Resource:
        return await add_resource(db, provider_id, body.as_new())

    return await once.in_session(
        add, headers=lambda made: {"Location": f"/v1/providers/{provider_id}/resources/{made.id}"}
    )


@router.get("", response_model=ResourcesOut, responses=problems(ProviderNotFound, CursorInvalid))
async def list_resources(
    provider_id: Id, wanted: FromQuery[PageQuery], db: Reading, user: Staff
) -> ResourcesOut:
    """All units, also those that came with rooms and with `maxParallelSessions`."""
    await seen_provider(db, user, provider_id)
    items, cursor = await page_of(
        db,
        Resource,
        Resource.provider_id == provider_id,
        limit=wanted.limit,
        cursor=wanted.cursor,
    )
    return ResourcesOut(
        items=[ResourceOut.model_validate(each) for each in items], next_cursor=cursor
    )


@router.get(
    "/{resource_id}",
    response_model=ResourceOut,
    responses=problems(ProviderNotFound, ResourceNotFound),
)
async def get_resource(provider_id: Id, resource_id: Id, db: Reading, user: Staff) -> Resource:
    """One unit."""
    await seen_provider(db, user, provider_id)
    return await own(db, Resource, provider_id, resource_id)


@router.patch(
    "/{resource_id}",
    response_model=ResourceOut,
    responses=problems(
        ProviderNotFound, ResourceNotFound, BelongsToRoom, NoStaffLeft, StillClaimed
    ),
)
async def update_resource(
    provider_id: Id, resource_id: Id, body: ResourceChangesIn, db: Transaction, _: Staff
) -> Resource:
    """Change the given fields; what somebody has claimed in the future is not taken away."""
    return await change_resource(db, provider_id, resource_id, body.changes())


@router.delete(
    "/{resource_id}",
    status_code=204,
    responses=problems(
        ProviderNotFound, ResourceNotFound, BelongsToRoom, NoStaffLeft, StillClaimed
    ),
)
async def delete_resource(provider_id: Id, resource_id: Id, db: Transaction, _: Staff) -> None:
    """Gone for good, once no appointments are to come on it."""
    await remove_resource(db, provider_id, resource_id)
