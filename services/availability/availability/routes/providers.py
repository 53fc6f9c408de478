"""Providers' profiles: admins make them, providers keep their own, everybody may look."""

from typing import Annotated

from fastapi import Response
from sqlalchemy.ext.asyncio import AsyncSession

from availability.access import Staff, may_set_up, seen_provider
from availability.listing import page_of
from availability.models import Provider
from availability.ownership import locked_provider
from availability.refusals import ProviderExists, ProviderNotFound, StillClaimed
from availability.schemas.lists import PageQuery
from availability.schemas.providers import (
    ProfileChangesIn,
    ProfileIn,
    ProfileOut,
    ProviderIn,
    ProviderOut,
    ProvidersOut,
)
from availability.use_cases.providers import change_provider, create_provider, remove_provider
from availability.use_cases.resources import count_staff
from shared.app import new_router
from shared.auth import CurrentUser, Principal, Role, require
from shared.cursors import CursorInvalid
from shared.db import Reading, Transaction
from shared.errors import Stale
from shared.fields import FromQuery, Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.preconditions import IfMatch, etag_of
from shared.problems import problems

router = new_router(prefix="/v1/providers", tags=["providers"])


@router.post(
    "",
    status_code=201,
    response_model=ProfileOut,
    responses=problems(ProviderExists, *KEY_REFUSALS),
)
async def add_provider(
    body: ProviderIn, once: OnceIfKeyed, _: Annotated[Principal, require(Role.ADMIN)]
) -> Response:
    """A new provider; only admins do that."""

    async def add(db: AsyncSession) -> ProfileOut:
        return await _profile(db, await create_provider(db, body.as_new()))

    return await once.in_session(add, headers=_location)


@router.get("", response_model=ProvidersOut, responses=problems(CursorInvalid))
async def list_providers(
    wanted: FromQuery[PageQuery], db: Reading, user: CurrentUser
) -> ProvidersOut:
    """All providers in use; for admins the others, too."""
    in_use = [] if user.role is Role.ADMIN else [Provider.is_active]
    items, cursor = await page_of(db, Provider, *in_use, limit=wanted.limit, cursor=wanted.cursor)
    return ProvidersOut(
        items=[ProviderOut.model_validate(each) for each in items], next_cursor=cursor
    )


@router.get(
    "/{provider_id}",
    response_model=ProfileOut | ProviderOut,
    responses=problems(ProviderNotFound),
)
async def get_provider(provider_id: Id, db: Reading, user: CurrentUser) -> Response:
    """The whole profile for the provider and for admins; who it is, for everybody else."""
    provider = await seen_provider(db, user, provider_id)
    if may_set_up(user, provider_id):
        return _answer(await _profile(db, provider))
    return _answer(ProviderOut.model_validate(provider))


@router.put(
    "/{provider_id}",
    response_model=ProfileOut,
    responses=problems(ProviderNotFound, StillClaimed, Stale),
)
async def replace_profile(
    provider_id: Id, body: ProfileIn, db: Transaction, if_match: IfMatch, _: Staff
) -> Response:
    """The profile as it is given here; what is left out gets its default."""
    await _check_is_current(db, provider_id, if_match)
    provider = await change_provider(db, provider_id, body.changes())
    return _answer(await _profile(db, provider))


@router.patch(
    "/{provider_id}",
    response_model=ProfileOut,
    responses=problems(ProviderNotFound, StillClaimed, Stale),
)
async def change_profile(
    provider_id: Id, body: ProfileChangesIn, db: Transaction, if_match: IfMatch, _: Staff
) -> Response:
    """Change the given fields. `isActive: false` takes the provider out of use until it is true.

    `maxParallelSessions` is how many units of staff are in use; fewer than are claimed in the
    future is refused, and the appointments are named.
    """
    await _check_is_current(db, provider_id, if_match)
    provider = await change_provider(db, provider_id, body.changes())
    return _answer(await _profile(db, provider))


@router.delete(
    "/{provider_id}", status_code=204, responses=problems(ProviderNotFound, StillClaimed)
)
async def delete_provider(provider_id: Id, db: Transaction, _: Staff) -> None:
    """Gone for good, once no appointments are to come; the past stays as it was."""
    await remove_provider(db, provider_id)


async def _profile(db: AsyncSession, provider: Provider) -> ProfileOut:
    return ProfileOut.of(provider, staff=await count_staff(db, provider.id))


async def _check_is_current(db: AsyncSession, provider_id: Id, if_match: IfMatch) -> None:
    provider = await locked_provider(db, provider_id)
    if_match.check(etag_of(await _profile(db, provider)))


def _answer(shown: ProviderOut) -> Response:
    return Response(
        shown.model_dump_json(by_alias=True),
        media_type="application/json",
        headers={"ETag": etag_of(shown)},
    )


def _location(made: ProfileOut) -> dict[str, str]:
    return {"Location": f"/v1/providers/{made.id}", "ETag": etag_of(made)}
