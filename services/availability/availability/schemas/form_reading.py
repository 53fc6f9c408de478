"""Reads the days of a schedule form so that all that is wrong with them comes at once.

Left to itself, pydantic would judge a window only after each of its fields could be read, and a day
only after each of its windows. Here the rules are asked about all that can be read of the form,
and what they find is told beside what cannot be read.
"""

from collections.abc import Collection
from typing import Any

from pydantic import TypeAdapter, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import InitErrorDetails, PydanticCustomError

from availability.domain.intervals import Interval
from availability.domain.schedule_form import FormDay, FormWindow, form_faults
from availability.schemas.local_times import EndOfWork, StartOfWork
from shared.errors import FieldError
from shared.fields import LocalDate, Weekday, Whole
from shared.fields.parsed import OURS

MOST_DAYS_OF_WEEK = 7
MOST_WINDOWS = 48
"""Of one day; split shifts with seasons and priorities stay far below."""
MOST_BREAKS = 24
"""Of one window."""
PRIORITIES = Whole(-1000, 1000)

_START: TypeAdapter[int] = TypeAdapter(StartOfWork)
_END: TypeAdapter[int] = TypeAdapter(EndOfWork)
_DATE: TypeAdapter[Any] = TypeAdapter(LocalDate)
_WEEKDAY: TypeAdapter[int] = TypeAdapter(Weekday)


def judged(*, tolerating: Collection[str] = ()) -> WrapValidator:
    """Annotates the days of a form; faults with a tolerated code are not told."""

    def judge(raw: Any, read: ValidatorFunctionWrapHandler) -> Any:
        faults = [
            _detail(each) for each in form_faults(readable(raw)) if each.code not in tolerating
        ]
        try:
            days = read(raw)
        except ValidationError as unreadable:
            faults = [*map(_again, unreadable.errors(include_url=False)), *faults]
        if faults:
            raise ValidationError.from_exception_data("days", faults)
        return days

    return WrapValidator(judge)


def fault_at(field: str, code: str, message: str) -> ValidationError:
    """What a validator of a whole object raises when it is one field that is wrong."""
    return ValidationError.from_exception_data(
        "form", [_detail(FieldError(f".{field}", code, message))]
    )


def readable(raw: Any) -> list[FormDay]:
    """What can be read of the days, each thing in its place."""
    return [_day(each) for each in _list(raw, MOST_DAYS_OF_WEEK)]


def _day(raw: Any) -> FormDay:
    day = _object(raw)
    return FormDay(
        _read(_WEEKDAY, day.get("dayOfWeek")),
        # A day without a list of windows has a fault already.
        enabled=day.get("enabled") is True and isinstance(day.get("windows", []), list),
        windows=[_window(each) for each in _list(day.get("windows"), MOST_WINDOWS)],
    )


def _window(raw: Any) -> FormWindow:
    window = _object(raw)
    return FormWindow(
        _span(window.get("workStartLocal"), window.get("workEndLocal")),
        [
            _span(each.get("breakStartLocal"), each.get("breakEndLocal"))
            for each in map(_object, _list(window.get("breaks"), MOST_BREAKS))
        ],
        _priority(window.get("priority", 0)),
        _read(_DATE, window.get("effectiveFrom")),
        _read(_DATE, window.get("effectiveTo")),
    )


def _span(start: Any, end: Any) -> Interval | None:
    first, after = _read(_START, start), _read(_END, end)
    return None if first is None or after is None else (first, after)


def _priority(value: Any) -> int | None:
    return value if type(value) is int else None


def _read(kind: TypeAdapter[Any], value: Any) -> Any:
    """None for what cannot be read, and for what is not there."""
    try:
        return kind.validate_python(value, strict=True)
    except ValidationError:
        return None


def _object(raw: Any) -> dict[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _list(raw: Any, most: int) -> list[Any]:
    return raw[:most] if isinstance(raw, list) else []


def _detail(fault: FieldError) -> InitErrorDetails:
    _, *place = fault.path.split(".")
    return InitErrorDetails(
        type=PydanticCustomError(OURS + fault.code, fault.message),
        loc=tuple(int(step) if step.isdigit() else step for step in place),
        input=None,
    )


def _again(told: Any) -> InitErrorDetails:
    """pydantic's own complaint, as it is given in a list of such."""
    kind: str = told["type"]
    return InitErrorDetails(
        type=PydanticCustomError(kind, told["msg"]) if kind.startswith(OURS) else kind,
        loc=told["loc"],
        input=None,
        ctx=told.get("ctx", {}),
    )
