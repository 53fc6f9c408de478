"""Bodies and answers about locations and rooms."""

from typing import Annotated, Any
from uuid import UUID

from availability.schemas.lists import UNCHANGED
from availability.use_cases.locations import NewLocation, NewRoom
from shared.fields import (
    Answer,
    Body,
    Flag,
    Instant,
    Latitude,
    Line,
    Longitude,
    Name,
    Whole,
    ZoneId,
)
from shared.idempotency import KeyedBody

Capacity = Annotated[int, Whole(1, 50)]


class LocationIn(KeyedBody):
    name: Name
    address: Line | None = None
    city: Name | None = None
    country: Name | None = None
    timezone: ZoneId
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    is_primary: Flag = False

    def as_new(self) -> NewLocation:
        return NewLocation(**self.model_dump(by_alias=False, exclude={"idempotency_key"}))


class LocationChangesIn(Body):
    """Only the fields that are given change; null empties one that may be empty."""

    name: Name = UNCHANGED
    address: Line | None = None
    city: Name | None = None
    country: Name | None = None
    timezone: ZoneId = UNCHANGED
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    is_primary: Flag = UNCHANGED
    is_active: Flag = UNCHANGED

    def changes(self) -> dict[str, Any]:
        return self.model_dump(by_alias=False, exclude_unset=True)


class LocationOut(Answer):
    id: UUID
    provider_id: UUID
    name: str
    address: str | None
    city: str | None
    country: str | None
    timezone: str
    latitude: float | None
    longitude: float | None
    is_primary: bool
    is_active: bool
    created_at: Instant
    updated_at: Instant


class LocationsOut(Answer):
    items: list[LocationOut]
    next_cursor: str | None


class RoomIn(KeyedBody):
    """`capacity` appointments fit into it at once; a virtual room is for video appointments."""

    name: Name
    capacity: Capacity = 1
    is_virtual: Flag = False

    def as_new(self) -> NewRoom:
        return NewRoom(**self.model_dump(by_alias=False, exclude={"idempotency_key"}))


class RoomChangesIn(Body):
    """Only the fields that are given change; whether a room is virtual never does."""

    name: Name = UNCHANGED
    capacity: Capacity = UNCHANGED
    is_active: Flag = UNCHANGED

    def changes(self) -> dict[str, Any]:
        return self.model_dump(by_alias=False, exclude_unset=True)


class RoomOut(Answer):
    id: UUID
    location_id: UUID
    name: str
    capacity: int
    is_virtual: bool
    is_active: bool
    created_at: Instant
    updated_at: Instant


class RoomsOut(Answer):
    items: list[RoomOut]
    next_cursor: str | None
