"""Queries, bodies and answers of the availability API."""

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from availability.domain.explanations import Reason
from availability.domain.local_time import minutes_down, minutes_up
from availability.domain.resources import Mode
from availability.domain.timeslots import Status
from shared.errors import FieldError, Invalid
from shared.fields import Answer, Body, Id, Instant, LocalDate, OneOf, Query, Text, ZoneId, wrong
from shared.fields.parsed import Parsed

MOST_DAYS = 62

_ANY_STATUS = frozenset(Status)
_STATUS = f"({'|'.join(Status)})"
_STATUSES = f"{_STATUS}(,{_STATUS}){{0,2}}"


def _statuses(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(_STATUSES, value):
        raise wrong("NOT_ALLOWED", "Write available, reserved or booked, or several with commas.")
    return value


Statuses = Annotated[
    str,
    Parsed(
        _statuses,
        {
            "type": "string",
            "pattern": f"^{_STATUSES}$",
            "examples": ["available", "available,reserved"],
        },
    ),
]
"""Some of the statuses of timeslots, with commas between them."""


class AvailabilityQuery(Query):
    """One ``date``, or ``from`` and ``to``, both included."""

    service_id: Id
    on: Annotated[LocalDate | None, Field(alias="date")] = None
    from_: Annotated[LocalDate | None, Field(alias="from")] = None
    to: LocalDate | None = None
    location_id: Id | None = None
    mode: OneOf[Mode] | None = None
    timezone: ZoneId | None = None
    """Whose days the dates are; the provider's, when not given."""
    status: Statuses | None = None

    def statuses(self) -> frozenset[str]:
        return frozenset(self.status.split(",")) if self.status else _ANY_STATUS

    def days(self) -> tuple[date, date]:
        """The first day and the last; raises Invalid, by the rules of ``from`` and ``to``."""
        if self.on is not None:
            if self.from_ is not None or self.to is not None:
                raise _fault("date", "DATE_AND_RANGE", "Give either date, or from and to.")
            return self.on, self.on
        if self.from_ is None and self.to is None:
            raise _fault("date", "REQUIRED", "Give date, or from and to.")
        if self.from_ is None:
            raise _fault("from", "REQUIRED", "Is required beside to.")
        if self.to is None:
            raise _fault("to", "REQUIRED", "Is required beside from.")
        if self.to < self.from_:
            raise _fault("to", "END_BEFORE_START", "Must not be before from.")
        if self.to - self.from_ >= timedelta(days=MOST_DAYS):
            raise _fault("to", "RANGE_TOO_LONG", f"At most {MOST_DAYS} days at once.")
        return self.from_, self.to


def whole_minute(name: str, at: datetime) -> int:
    """The domain instant; raises Invalid for seconds, because no timeslot starts there."""
    minute = minutes_down(at)
    if minute != minutes_up(at):
        raise _fault(name, "NOT_A_WHOLE_MINUTE", "Must be a whole minute.")
    return minute


def _fault(name: str, code: str, message: str) -> Invalid:
    return Invalid(errors=[FieldError(name, code, message, in_body=False)])


class TimeslotOut(Answer):
    id: str
    start: Instant
    end: Instant
    location_id: UUID | None
    room_id: UUID | None
    """Null when any of the location's rooms may be taken."""
    mode: Mode


class ListedTimeslotOut(TimeslotOut):
    status: Status
    capacity_left: int
    """How many more times this timeslot can be booked."""
    unconfirmed_calendar: bool
    """One of the provider's own calendars cannot be trusted now, and they want it told."""
    held_by_you: bool


class SourceOut(Answer):
    """An external calendar that the answer takes into account."""

    kind: str
    as_of: Instant | None
    """When it was last read; null when it never was."""
    healthy: bool


class AvailabilityOut(Answer):
    provider_id: UUID
    service_id: UUID
    timezone: str
    from_: Annotated[LocalDate, Field(alias="from")]
    to: LocalDate
    sources: list[SourceOut]
    timeslots: list[ListedTimeslotOut]


class ExplainQuery(Query):
    service_id: Id
    at: Instant
    """A whole minute; timeslots start at nothing else."""

    def minute(self) -> int:
        """The wanted start as a domain instant."""
        return whole_minute("at", self.at)


class ObstacleOut(Answer):
    reason: Reason
    ids: list[UUID]
    """The rules, breaks, exceptions, appointments or busy times in the way; none for patients."""


class ExplainedPlaceOut(Answer):
    location_id: UUID | None
    mode: Mode
    offered: bool
    reasons: list[ObstacleOut]


class ExplanationOut(Answer):
    provider_id: UUID
    service_id: UUID
    at: Instant
    sources: list[SourceOut]
    places: list[ExplainedPlaceOut]
    """Every place where the service is given."""


class CheckIn(Body):
    provider_id: Id
    service_id: Id
    timeslot_id: Annotated[str, Text(100)]
    user_id: Id
    without_appointment_id: Id | None = None
    """An appointment of the user's that is to be moved: what it claims stands in nobody's way."""


class AlternativeTimeslotOut(TimeslotOut):
    provider_id: UUID
    service_id: UUID


class CheckOut(Answer):
    offered: bool
    reason: Reason | None
    timeslot: TimeslotOut | None
    """Null when it is not offered."""
    alternatives: Annotated[list[AlternativeTimeslotOut], Field(max_length=5)]
    """The nearest timeslots that can be booked, whether or not this one can; when it cannot and
    the provider has not enough of them, other providers' follow."""
