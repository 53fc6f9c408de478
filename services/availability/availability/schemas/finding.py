"""Queries, bodies and answers of whoever looks for the next, the nearest or the earliest time."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import Field

from availability.domain.resources import Mode
from availability.schemas.appointment_types import Slug
from availability.schemas.timeslots import MOST_DAYS, ListedTimeslotOut, SourceOut, whole_minute
from shared.errors import FieldError, Invalid
from shared.fields import Answer, Id, Instant, Language, Limit, Name, OneOf, Query, Whole
from shared.fields.models import Body
from shared.idempotency.keys import KeyedBody

MOST_PROVIDERS = 200
USUAL_SPAN = timedelta(days=14)
_CLOCKS_DIFFER = timedelta(minutes=2)
LONGEST_SPAN = timedelta(days=MOST_DAYS)


class NextQuery(Query):
    service_id: Id
    after: Instant | None = None
    """Starts later than this; now, when not given."""
    limit: Limit = 10


class AlternativesQuery(Query):
    service_id: Id
    start: Instant
    """The wanted start: a whole minute."""
    limit: Annotated[int, Whole(1, 20)] = 5

    def minute(self) -> int:
        """The wanted start as a domain instant."""
        return whole_minute("start", self.start)


class FoundOut(Answer):
    provider_id: UUID
    service_id: UUID
    timezone: str
    sources: list[SourceOut]
    timeslots: list[ListedTimeslotOut]


class AlternativeOut(ListedTimeslotOut):
    provider_id: UUID
    service_id: UUID


class AlternativesOut(Answer):
    """`providerId`, `timezone` and `sources` are of the provider that was asked for."""

    provider_id: UUID
    service_id: UUID
    timezone: str
    sources: list[SourceOut]
    timeslots: list[AlternativeOut]
    """Theirs first, then those of others."""


class FiltersIn(Body):
    """What is not given may be anything."""

    service: Slug | None = None
    """The slug of an appointment type."""
    mode: OneOf[Mode] | None = None
    city: Name | None = None
    """Where the appointment is; a service without a place counts for all its provider's cities."""
    language: Language | None = None
    """The provider's; `el` also means `el-CY`."""


class SearchIn(KeyedBody):
    """`providerIds`, or `filters`, or both: then each provider must meet both."""

    provider_ids: Annotated[list[Id], Field(min_length=1, max_length=MOST_PROVIDERS)] | None = None
    filters: FiltersIn | None = None
    from_: Annotated[Instant | None, Field(alias="from")] = None
    """Now, when not given."""
    to: Instant | None = None
    """Starts before this; 14 days after `from`, when not given, and 62 at most."""
    limit: Limit = 20

    def span(self) -> tuple[datetime, datetime]:
        """From when to when; raises Invalid with everything that is wrong with the body."""
        faults = []
        if self.provider_ids is None and self.filters is None:
            faults.append(FieldError("", "REQUIRED", "Give providerIds or filters."))
        # What is over by the database's clock is left out later; this one may be ahead of it.
        begin = self.from_ or datetime.now(UTC) - _CLOCKS_DIFFER
        end = self.to or begin + USUAL_SPAN
        if self.to is not None and end <= begin:
            faults.append(FieldError("to", "END_BEFORE_START", "Must be after from."))
        elif end - begin > LONGEST_SPAN:
            faults.append(FieldError("to", "RANGE_TOO_LONG", f"At most {MOST_DAYS} days at once."))
        if faults:
            raise Invalid(errors=faults)
        return begin, end


class SearchedTimeslotOut(ListedTimeslotOut):
    provider_id: UUID
    service_id: UUID
    service_title: str


class SearchedProviderOut(Answer):
    provider_id: UUID
    provider_name: str
    timezone: str
    sources: list[SourceOut]


class SearchOut(Answer):
    timeslots: list[SearchedTimeslotOut]
    """In the order of starts; see the description for who gets a place on the page."""
    providers: list[SearchedProviderOut]
    """Those of the timeslots, in the order in which they occur."""
    is_complete: bool
    """False when more services matched than one search looks at."""
