"""Bodies and answers about bookable units."""

from typing import Any
from uuid import UUID

from pydantic import field_validator

from availability.domain.resources import Kind
from availability.schemas.lists import UNCHANGED
from availability.use_cases.resources import NewResource
from shared.fields import Answer, Body, Flag, Id, Instant, Name, OneOf, wrong
from shared.idempotency import KeyedBody


class ResourceIn(KeyedBody):
    """One unit: `staff`, a `telehealth_slot` or `equipment`, which services ask for by its label.

    Without a location it serves at all of them. Rooms bring their own units with them.
    """

    kind: OneOf[Kind]
    label: Name
    location_id: Id | None = None

    @field_validator("kind")
    @classmethod
    def _not_a_room(cls, kind: Kind) -> Kind:
        if kind is Kind.ROOM:
            raise wrong("FOLLOWS_ROOM", "A room has units by its capacity; add a room instead.")
        return kind

    def as_new(self) -> NewResource:
        return NewResource(**self.model_dump(by_alias=False, exclude={"idempotency_key"}))


class ResourceChangesIn(Body):
    """Only the fields that are given change; a null location means all of them."""

    label: Name = UNCHANGED
    location_id: Id | None = None
    is_active: Flag = UNCHANGED

    def changes(self) -> dict[str, Any]:
        return self.model_dump(by_alias=False, exclude_unset=True)


class ResourceOut(Answer):
    id: UUID
    kind: Kind
    label: str
    location_id: UUID | None
    room_id: UUID | None
    is_active: bool
    created_at: Instant
    updated_at: Instant


class ResourcesOut(Answer):
    items: list[ResourceOut]
    next_cursor: str | None
