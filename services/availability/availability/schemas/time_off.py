"""Bodies and answers about time off."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from availability.domain.time_off import Status
from availability.schemas.lists import PageQuery
from availability.use_cases.time_off import NewTimeOff
from shared.fields import Answer, Instant, Line, OneOf
from shared.idempotency import KeyedBody


class TimeOffIn(KeyedBody):
    start: Instant
    end: Instant
    reason: Line | None = None

    def as_new(self) -> NewTimeOff:
        return NewTimeOff(starts_at=self.start, ends_at=self.end, reason=self.reason)


class DecisionIn(KeyedBody):
    """Nothing has to be said with a decision."""


class TimeOffOut(Answer):
    id: UUID
    status: Status
    start: Annotated[Instant, Field(validation_alias="starts_at")]
    end: Annotated[Instant, Field(validation_alias="ends_at")]
    reason: str | None
    decided_by: UUID | None
    """Who approved, rejected or withdrew it."""
    decided_at: Instant | None
    exception_id: UUID | None
    """The blocked exception that an approved one is."""
    created_at: Instant
    updated_at: Instant


class TimeOffsOut(Answer):
    items: list[TimeOffOut]
    next_cursor: str | None


class TimeOffQuery(PageQuery):
    """Those with a part in the time from ``from`` until ``to``."""

    status: OneOf[Status] | None = None
    from_: Annotated[Instant | None, Field(alias="from")] = None
    to: Instant | None = None
