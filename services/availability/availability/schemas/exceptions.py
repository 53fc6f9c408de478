"""Bodies and answers about exceptions."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from availability.domain.schedule import ExceptionKind
from availability.schemas.lists import UNCHANGED, PageQuery
from availability.use_cases.exceptions import NewException
from shared.fields import Answer, Body, Id, Instant, Line, OneOf
from shared.idempotency import KeyedBody

_COLUMNS = {
    "start": "starts_at",
    "end": "ends_at",
    "appointment_type_id": "scope_appointment_type_id",
    "location_id": "scope_location_id",
    "room_id": "scope_room_id",
}


def _column(name: str) -> str:
    return _COLUMNS.get(name, name)


class ExceptionIn(KeyedBody):
    """`blocked` closes the time, `available` opens it; ids narrow what it is about."""

    kind: OneOf[ExceptionKind]
    start: Instant
    end: Instant
    appointment_type_id: Id | None = None
    location_id: Id | None = None
    room_id: Id | None = None
    reason: Line | None = None

    def as_new(self) -> NewException:
        values = self.model_dump(exclude={"idempotency_key"}, by_alias=False)
        return NewException(**{_column(name): value for name, value in values.items()})


class ExceptionChangesIn(Body):
    """Only the fields that are given change; null empties one that may be empty."""

    kind: OneOf[ExceptionKind] = UNCHANGED
    start: Instant = UNCHANGED
    end: Instant = UNCHANGED
    appointment_type_id: Id | None = None
    location_id: Id | None = None
    room_id: Id | None = None
    reason: Line | None = None

    def changes(self) -> dict[str, Any]:
        values = self.model_dump(exclude_unset=True, by_alias=False)
        return {_column(name): value for name, value in values.items()}


class ExceptionOut(Answer):
    id: UUID
    kind: ExceptionKind
    start: Annotated[Instant, Field(validation_alias="starts_at")]
    end: Annotated[Instant, Field(validation_alias="ends_at")]
    appointment_type_id: Annotated[UUID | None, Field(validation_alias="scope_appointment_type_id")]
    location_id: Annotated[UUID | None, Field(validation_alias="scope_location_id")]
    room_id: Annotated[UUID | None, Field(validation_alias="scope_room_id")]
    reason: str | None
    source: Annotated[Literal["manual", "time_off", "import"], Field(validation_alias="origin")]
    import_id: UUID | None
    created_at: Instant
    updated_at: Instant


class ExceptionsOut(Answer):
    items: list[ExceptionOut]
    next_cursor: str | None


class ExceptionsQuery(PageQuery):
    """Those with a part in the time from ``from`` until ``to``."""

    from_: Annotated[Instant | None, Field(alias="from")] = None
    to: Instant | None = None
