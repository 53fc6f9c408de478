"""The services of a provider, which everybody may look at who wants to book one."""

from fastapi import Response
from sqlalchemy.ext.asyncio import AsyncSession

from availability.access import Staff, may_set_up, seen_provider
from availability.listing import page_of
from availability.models import AppointmentType
from availability.ownership import locked_provider, own
from availability.refusals import ProviderNotFound, ServiceNotFound, SlugTaken, TooMany
from availability.schemas.appointment_types import (
    AppointmentTypeChangesIn,
    AppointmentTypeIn,
    AppointmentTypeOut,
    AppointmentTypesOut,
)
from availability.schemas.lists import PageQuery
from availability.use_cases.appointment_types import (
    add_appointment_type,
    change_appointment_type,
    places_of,
    remove_appointment_type,
)
from shared.app import new_router
from shared.auth import CurrentUser
from shared.cursors import CursorInvalid
from shared.db import Reading, Transaction
from shared.errors import Stale
from shared.fields import FromQuery, Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.preconditions import IfMatch, etag_of
from shared.problems import problems

router = new_router(
    prefix="/v1/providers/{provider_id}/appointment-types", tags=["appointment types"]
)


@router.post(
    "",
    status_code=201,
    response_model=AppointmentTypeOut,
    responses=problems(ProviderNotFound, SlugTaken, TooMany, *KEY_REFUSALS),
)
async def create_appointment_type(
    provider_id: Id, body: AppointmentTypeIn, once: OnceIfKeyed, _: Staff
) -> Response:
    """A service; its `id` is the `serviceId` of timeslots and bookings."""

    async def add(db: AsyncSession) -> AppointmentTypeOut:
        return await _shown(db, await add_appointment_type(db, provider_id, body.as_new()))

    path = f"/v1/providers/{provider_id}/appointment-types"
    return await once.in_session(
        add, headers=lambda made: {"Location": f"{path}/{made.id}", "ETag": etag_of(made)}
    )


@router.get(
    "", response_model=AppointmentTypesOut, responses=problems(ProviderNotFound, CursorInvalid)
)
async def list_appointment_types(
    provider_id: Id, wanted: FromQuery[PageQuery], db: Reading, user: CurrentUser
) -> AppointmentTypesOut:
    """All services in use; for the provider and for admins the others, too."""
    await seen_provider(db, user, provider_id)
    in_use = [] if may_set_up(user, provider_id) else [AppointmentType.is_active]
    items, cursor = await page_of(
        db,
        AppointmentType,
        AppointmentType.provider_id == provider_id,
        *in_use,
        limit=wanted.limit,
        cursor=wanted.cursor,
    )
    places = await places_of(db, [each.id for each in items])
    return AppointmentTypesOut(
        items=[AppointmentTypeOut.of(each, places.get(each.id, [])) for each in items],
        next_cursor=cursor,
    )


@router.get(
    "/{appointment_type_id}",
    response_model=AppointmentTypeOut,
    responses=problems(ProviderNotFound, ServiceNotFound),
)
async def get_appointment_type(
    provider_id: Id, appointment_type_id: Id, db: Reading, user: CurrentUser
) -> Response:
    """One service."""
    await seen_provider(db, user, provider_id)
    service = await own(db, AppointmentType, provider_id, appointment_type_id)
    if not (service.is_active or may_set_up(user, provider_id)):
        raise ServiceNotFound
    return _answer(await _shown(db, service))


@router.patch(
    "/{appointment_type_id}",
    response_model=AppointmentTypeOut,
    responses=problems(ProviderNotFound, ServiceNotFound, SlugTaken, Stale),
)
async def update_appointment_type(
    provider_id: Id,
    appointment_type_id: Id,
    body: AppointmentTypeChangesIn,
    db: Transaction,
    if_match: IfMatch,
    _: Staff,
) -> Response:
    """Change the given fields; appointments that exist stay as they were agreed."""
    await locked_provider(db, provider_id)
    service = await own(db, AppointmentType, provider_id, appointment_type_id)
    if_match.check(etag_of(await _shown(db, service)))
    service = await change_appointment_type(db, provider_id, appointment_type_id, body.changes())
    return _answer(await _shown(db, service))


@router.delete(
    "/{appointment_type_id}",
    status_code=204,
    responses=problems(ProviderNotFound, ServiceNotFound),
)
async def delete_appointment_type(
    provider_id: Id, appointment_type_id: Id, db: Transaction, _: Staff
) -> None:
    """Gone for good and no longer offered; appointments that exist stay."""
    await remove_appointment_type(db, provider_id, appointment_type_id)


async def _shown(db: AsyncSession, service: AppointmentType) -> AppointmentTypeOut:
    places = await places_of(db, [service.id])
    return AppointmentTypeOut.of(service, places.get(service.id, []))


def _answer(shown: AppointmentTypeOut) -> Response:
    return Response(
        shown.model_dump_json(by_alias=True),
        media_type="application/json",
        headers={"ETag": etag_of(shown)},
    )
