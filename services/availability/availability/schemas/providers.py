"""Bodies and answers about providers themselves."""

from typing import Annotated, Any, Literal
from uuid import UUID

from availability.models import Provider
from availability.schemas.lists import UNCHANGED
from availability.use_cases.providers import NewProvider
from availability.use_cases.resources import MOST_UNITS
from shared.events.provider import CompletionPolicy
from shared.fields import (
    Answer,
    Body,
    Email,
    Flag,
    Id,
    Instant,
    Language,
    Name,
    Phone,
    Whole,
    ZoneId,
)
from shared.idempotency import KeyedBody

ParallelSessions = Annotated[int, Whole(1, MOST_UNITS)]
CalendarPolicy = Literal["shown", "marked", "closed"]
CompletionGrace = Annotated[int, Whole(0, 7 * 24 * 60)]


class ProviderIn(KeyedBody):
    """`id` is the `sub` of the provider's access tokens; without one it is a new id."""

    id: Id | None = None
    name: Name
    email: Email | None = None
    phone: Phone | None = None
    language: Language = "en"
    timezone: ZoneId
    max_parallel_sessions: ParallelSessions = 1
    unhealthy_calendar_policy: CalendarPolicy = "shown"
    time_off_needs_approval: Flag = True
    completion_policy: CompletionPolicy = "completed"
    completion_grace_minutes: CompletionGrace = 1440

    def as_new(self) -> NewProvider:
        left_out = {"idempotency_key"} if self.id else {"idempotency_key", "id"}
        return NewProvider(**_renamed(self.model_dump(by_alias=False, exclude=left_out)))


class ProfileIn(Body):
    """The whole profile; a field that is left out gets its default."""

    name: Name
    email: Email | None = None
    phone: Phone | None = None
    language: Language = "en"
    timezone: ZoneId
    max_parallel_sessions: ParallelSessions = 1
    unhealthy_calendar_policy: CalendarPolicy = "shown"
    time_off_needs_approval: Flag = True
    completion_policy: CompletionPolicy = "completed"
    completion_grace_minutes: CompletionGrace = 1440
    is_active: Flag = True

    def changes(self) -> dict[str, Any]:
        return _renamed(self.model_dump(by_alias=False))


class ProfileChangesIn(Body):
    """Only the fields that are given change; null empties one that may be empty."""

    name: Name = UNCHANGED
    email: Email | None = None
    phone: Phone | None = None
    language: Language = UNCHANGED
    timezone: ZoneId = UNCHANGED
    max_parallel_sessions: ParallelSessions = UNCHANGED
    unhealthy_calendar_policy: CalendarPolicy = UNCHANGED
    time_off_needs_approval: Flag = UNCHANGED
    completion_policy: CompletionPolicy = UNCHANGED
    completion_grace_minutes: CompletionGrace = UNCHANGED
    is_active: Flag = UNCHANGED

    def changes(self) -> dict[str, Any]:
        return _renamed(self.model_dump(by_alias=False, exclude_unset=True))


class ProviderOut(Answer):
    """What everybody may know of a provider."""

    id: UUID
    name: str
    language: str
    timezone: str
    is_active: bool


class ProfileOut(ProviderOut):
    """The same for the provider and for admins; `maxParallelSessions` counts all staff in use."""

    email: str | None
    phone: str | None
    max_parallel_sessions: int
    unhealthy_calendar_policy: CalendarPolicy
    time_off_needs_approval: bool
    completion_policy: CompletionPolicy
    """What becomes of an appointment of which nobody has said whether it took place."""
    completion_grace_minutes: int
    """How long after its end."""
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, provider: Provider, *, staff: int) -> "ProfileOut":
        return cls.model_validate(
            {name: getattr(provider, name) for name in cls.model_fields if hasattr(provider, name)}
            | {"max_parallel_sessions": staff}
        )


class ProvidersOut(Answer):
    items: list[ProviderOut]
    next_cursor: str | None


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    if "max_parallel_sessions" in values:
        values["parallel_sessions"] = values.pop("max_parallel_sessions")
    return values
