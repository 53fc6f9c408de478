"""Where a provider sees patients: locations, which everybody may know, and their rooms."""

from uuid import UUID

from fastapi import Response
from sqlalchemy.ext.asyncio import AsyncSession

from availability.access import Staff, may_set_up, seen_provider
from availability.listing import page_of
from availability.models import Location, Room
from availability.ownership import locked_provider, own
from availability.refusals import (
    LocationNotFound,
    NoStaffLeft,
    PrimaryNeeded,
    ProviderNotFound,
    RoomNotFound,
    StillClaimed,
    TooMany,
)
from availability.schemas.lists import PageQuery
from availability.schemas.locations import (
    LocationChangesIn,
    LocationIn,
    LocationOut,
    LocationsOut,
    RoomChangesIn,
    RoomIn,
    RoomOut,
    RoomsOut,
)
from availability.use_cases.locations import (
    add_location,
    add_room,
    change_location,
    change_room,
    remove_location,
    remove_room,
)
from shared.app import new_router
from shared.auth import CurrentUser
from shared.cursors import CursorInvalid
from shared.db import Reading, Transaction
from shared.fields import FromQuery, Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.problems import problems

router = new_router(prefix="/v1/providers/{provider_id}/locations", tags=["locations"])


@router.post(
    "",
    status_code=201,
    response_model=LocationOut,
    responses=problems(ProviderNotFound, TooMany, *KEY_REFUSALS),
)
async def create_location(
    provider_id: Id, body: LocationIn, once: OnceIfKeyed, _: Staff
) -> Response:
    """A place in a time zone of its own; the first one is the primary one."""

    async def add(db: AsyncSession) -> Location:
        return await add_location(db, provider_id, body.as_new())

    return await once.in_session(
        add, headers=lambda made: {"Location": f"/v1/providers/{provider_id}/locations/{made.id}"}
    )


@router.get("", response_model=LocationsOut, responses=problems(ProviderNotFound, CursorInvalid))
async def list_locations(
    provider_id: Id, wanted: FromQuery[PageQuery], db: Reading, user: CurrentUser
) -> LocationsOut:
    """All locations in use; for the provider and for admins the others, too."""
    await seen_provider(db, user, provider_id)
    in_use = [] if may_set_up(user, provider_id) else [Location.is_active]
    items, cursor = await page_of(
        db,
        Location,
        Location.provider_id == provider_id,
        *in_use,
        limit=wanted.limit,
        cursor=wanted.cursor,
    )
    return LocationsOut(
        items=[LocationOut.model_validate(each) for each in items], next_cursor=cursor
    )


@router.get(
    "/{location_id}",
    response_model=LocationOut,
    responses=problems(ProviderNotFound, LocationNotFound),
)
async def get_location(
    provider_id: Id, location_id: Id, db: Reading, user: CurrentUser
) -> Location:
    """One location."""
    await seen_provider(db, user, provider_id)
    location = await own(db, Location, provider_id, location_id)
    if not (location.is_active or may_set_up(user, provider_id)):
        raise LocationNotFound
    return location


@router.patch(
    "/{location_id}",
    response_model=LocationOut,
    responses=problems(ProviderNotFound, LocationNotFound, PrimaryNeeded, StillClaimed),
)
async def update_location(
    provider_id: Id, location_id: Id, body: LocationChangesIn, db: Transaction, _: Staff
) -> Location:
    """Change the given fields; exactly one location in use stays the primary one."""
    return await change_location(db, provider_id, location_id, body.changes())


@router.delete(
    "/{location_id}",
    status_code=204,
    responses=problems(ProviderNotFound, LocationNotFound, StillClaimed, NoStaffLeft),
)
async def delete_location(provider_id: Id, location_id: Id, db: Transaction, _: Staff) -> None:
    """Gone for good with its rooms, once no appointments are to come there."""
    await remove_location(db, provider_id, location_id)


@router.post(
    "/{location_id}/rooms",
    status_code=201,
    response_model=RoomOut,
    responses=problems(ProviderNotFound, LocationNotFound, TooMany, *KEY_REFUSALS),
)
async def create_room(
    provider_id: Id, location_id: Id, body: RoomIn, once: OnceIfKeyed, _: Staff
) -> Response:
    """A room with as many bookable units as it has capacity."""

    async def add(db: AsyncSession) -> Room:
        return await add_room(db, provider_id, location_id, body.as_new())

    path = f"/v1/providers/{provider_id}/locations/{location_id}/rooms"
    return await once.in_session(add, headers=lambda made: {"Location": f"{path}/{made.id}"})


@router.get(
    "/{location_id}/rooms",
    response_model=RoomsOut,
    responses=problems(ProviderNotFound, LocationNotFound, CursorInvalid),
)
async def list_rooms(
    provider_id: Id, location_id: Id, wanted: FromQuery[PageQuery], db: Reading, user: Staff
) -> RoomsOut:
    """All rooms of the location."""
    await seen_provider(db, user, provider_id)
    await own(db, Location, provider_id, location_id)
    items, cursor = await page_of(
        db, Room, Room.location_id == location_id, limit=wanted.limit, cursor=wanted.cursor
    )
    return RoomsOut(items=[RoomOut.model_validate(each) for each in items], next_cursor=cursor)


@router.get(
    "/{location_id}/rooms/{room_id}",
    response_model=RoomOut,
    responses=problems(ProviderNotFound, LocationNotFound, RoomNotFound),
)
async def get_room(provider_id: Id, location_id: Id, room_id: Id, db: Reading, user: Staff) -> Room:
    """One room."""
    await seen_provider(db, user, provider_id)
    return await _room(db, provider_id, location_id, room_id)


@router.patch(
    "/{location_id}/rooms/{room_id}",
    response_model=RoomOut,
    responses=problems(ProviderNotFound, LocationNotFound, RoomNotFound, StillClaimed, TooMany),
)
async def update_room(
    provider_id: Id, location_id: Id, room_id: Id, body: RoomChangesIn, db: Transaction, _: Staff
) -> Room:
    """Change the given fields; less capacity than is claimed in the future is refused."""
    await locked_provider(db, provider_id)
    await _room(db, provider_id, location_id, room_id)
    return await change_room(db, provider_id, room_id, body.changes())


@router.delete(
    "/{location_id}/rooms/{room_id}",
    status_code=204,
    responses=problems(ProviderNotFound, LocationNotFound, RoomNotFound, StillClaimed),
)
async def delete_room(
    provider_id: Id, location_id: Id, room_id: Id, db: Transaction, _: Staff
) -> None:
    """Gone for good, once no appointments are to come in it."""
    await locked_provider(db, provider_id)
    await _room(db, provider_id, location_id, room_id)
    await remove_room(db, provider_id, room_id)


async def _room(db: AsyncSession, provider_id: UUID, location_id: UUID, room_id: UUID) -> Room:
    """The room at this very location."""
    await own(db, Location, provider_id, location_id)
    room = await own(db, Room, provider_id, room_id)
    if room.location_id != location_id:
        raise RoomNotFound
    return room
