"""The schedule form: what a provider sends and gets about their week."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Any, Literal, Self, get_args
from uuid import UUID

from pydantic import Field, TypeAdapter, model_validator

from availability.domain.resources import Mode
from availability.domain.schedule import Scope
from availability.domain.schedule_form import SHOWN_AS_WARNINGS, FormDay, form_faults
from availability.schemas.form_reading import (
    MOST_BREAKS,
    MOST_DAYS_OF_WEEK,
    MOST_WINDOWS,
    PRIORITIES,
    fault_at,
    judged,
)
from availability.schemas.local_times import EndOfWork, StartOfWork
from availability.schemas.timeslots import MOST_DAYS
from availability.use_cases.bulk_upsert import Week
from availability.use_cases.rules import NewBreak, NewRule
from shared.errors import FieldError
from shared.fields import Body, Flag, Id, LocalDate, Name, OneOf, Query, Weekday, ZoneId
from shared.fields.parsed import Parsed
from shared.idempotency import KeyedBody

SlotInterval = Literal[5, 10, 15, 20, 30, 60]
ReplaceMode = Literal["replace_selected_days", "append"]
INTERVALS: tuple[int, ...] = get_args(SlotInterval)
REPLACE_MODES: tuple[str, ...] = get_args(ReplaceMode)


class ScopeIn(Body):
    """What the hours are about; null, or nothing, means all there are."""

    appointment_type_id: Id | None = None
    doctor_location_id: Id | None = None
    location_room_id: Id | None = None
    consultation_mode: OneOf[Mode] | None = None
    timezone: ZoneId

    def as_scope(self) -> Scope:
        return Scope(
            self.appointment_type_id,
            self.doctor_location_id,
            self.location_room_id,
            self.consultation_mode,
        )


class BreakIn(Body):
    break_start_local: StartOfWork
    break_end_local: EndOfWork
    label: Name | None = None


class WindowIn(Body):
    """From one time of a day to a later one; `24:00` is the midnight at the end of the day."""

    work_start_local: StartOfWork
    work_end_local: EndOfWork
    slot_interval_minutes: SlotInterval
    breaks: Annotated[list[BreakIn], Field(max_length=MOST_BREAKS)] = Field(default_factory=list)
    priority: Annotated[int, PRIORITIES] = 0
    effective_from: LocalDate | None = None
    effective_to: LocalDate | None = None


class DayIn(Body):
    """The windows of a day that is not enabled are read over; saving it closes the day."""

    day_of_week: Weekday
    enabled: Flag
    windows: Annotated[list[WindowIn], Field(max_length=MOST_WINDOWS)] = Field(default_factory=list)


_Days = Annotated[list[DayIn], Field(max_length=MOST_DAYS_OF_WEEK)]


class _FormIn(KeyedBody):
    scope: ScopeIn
    days: _Days
    replace_mode: ReplaceMode = "replace_selected_days"

    @property
    def replaces(self) -> bool:
        return self.replace_mode == "replace_selected_days"

    def week(self) -> Week:
        """The form in the words of the use cases."""
        return Week(
            self.scope.as_scope(),
            self.scope.timezone,
            frozenset(day.day_of_week for day in self.days),
            dict(self._windows()),
        )

    def _windows(self) -> Iterator[tuple[str, NewRule]]:
        for number, day in enumerate(self.days):
            for place, window in enumerate(day.windows if day.enabled else ()):
                path = f"days.{number}.windows.{place}"
                yield path, _new_rule(self.scope, day.day_of_week, window)


class ScheduleIn(_FormIn):
    days: Annotated[_Days, judged()]


class DateRangeIn(Body):
    """Both days included."""

    start: LocalDate
    end: LocalDate

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            raise fault_at("end", "END_BEFORE_START", "The range must not end before it starts.")
        if self.end - self.start >= timedelta(days=MOST_DAYS):
            raise fault_at("end", "RANGE_TOO_LONG", f"At most {MOST_DAYS} days at once.")
        return self


class PreviewIn(_FormIn):
    """Without a range, the seven days from today on."""

    days: Annotated[_Days, judged(tolerating=SHOWN_AS_WARNINGS)]
    date_range: DateRangeIn | None = None

    @property
    def dates(self) -> tuple[date, date] | None:
        span = self.date_range
        return None if span is None else (span.start, span.end)

    def warnings(self) -> list[FieldError]:
        """What would keep the form from being saved, but not from being drawn."""
        return list(
            form_faults(
                FormDay(
                    day.day_of_week,
                    day.enabled,
                    [_new_rule(self.scope, day.day_of_week, each).form for each in day.windows],
                )
                for day in self.days
            )
        )

    @property
    def days_enabled(self) -> int:
        return sum(day.enabled for day in self.days)


def _new_rule(scope: ScopeIn, weekday: int, window: WindowIn) -> NewRule:
    return NewRule(
        timezone=scope.timezone,
        weekday=weekday,
        start_minute=window.work_start_local,
        end_minute=window.work_end_local,
        slot_interval_minutes=window.slot_interval_minutes,
        scope_appointment_type_id=scope.appointment_type_id,
        scope_location_id=scope.doctor_location_id,
        scope_room_id=scope.location_room_id,
        scope_mode=scope.consultation_mode,
        priority=window.priority,
        effective_from=window.effective_from,
        effective_to=window.effective_to,
        breaks=[
            NewBreak(
                start_minute=each.break_start_local,
                end_minute=each.break_end_local,
                label=each.label,
            )
            for each in window.breaks
        ],
    )


def _id_or_null(value: Any) -> UUID | None:
    return None if value == _NULL else _ID.validate_python(value)


def _mode_or_null(value: Any) -> Mode | None:
    return None if value == _NULL else _MODE.validate_python(value)


_NULL = "null"
_ID: TypeAdapter[UUID] = TypeAdapter(Id)
_MODE: TypeAdapter[Mode] = TypeAdapter(OneOf[Mode])
_IdOrNull = Annotated[
    UUID | None,
    Parsed(
        _id_or_null,
        {"anyOf": [{"type": "string", "format": "uuid"}, {"const": _NULL}]},
    ),
]
_ModeOrNull = Annotated[
    Mode | None, Parsed(_mode_or_null, {"type": "string", "enum": [*Mode, _NULL]})
]


class RulesQuery(Query):
    """Only scopes that are equal in what is given; `null` is a scope that leaves it open."""

    appointment_type_id: _IdOrNull = None
    doctor_location_id: _IdOrNull = None
    location_room_id: _IdOrNull = None
    consultation_mode: _ModeOrNull = None
    timezone: ZoneId | None = None

    def conditions(self) -> dict[str, Any]:
        """The columns of a rule that must have, or lack, a certain value."""
        columns = {
            "appointment_type_id": "scope_appointment_type_id",
            "doctor_location_id": "scope_location_id",
            "location_room_id": "scope_room_id",
            "consultation_mode": "scope_mode",
            "timezone": "timezone",
        }
        return {columns[name]: getattr(self, name) for name in self.model_fields_set}
