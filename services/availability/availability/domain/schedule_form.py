"""The form in which a provider writes their week, and all that can be wrong with it.

A form is judged also when not all of it can be read: what cannot be read is None here and gives no
further fault. Faults are named by their place in the form.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations

from availability.domain.intervals import Interval
from shared.errors import FieldError

SHOWN_AS_WARNINGS = frozenset({"NO_WINDOWS", "BREAK_OUTSIDE_WINDOW", "BREAK_OVERLAP"})
"""Faults with which a form cannot be saved, but well be drawn as a preview."""


@dataclass(frozen=True, slots=True)
class FormWindow:
    """From when to when in local minutes of the day; 1440 is the midnight at its end."""

    span: Interval | None
    breaks: Sequence[Interval | None] = ()
    priority: int | None = 0
    effective_from: date | None = None
    effective_to: date | None = None

    @property
    def is_sound(self) -> bool:
        return self.span is not None and self.span[0] < self.span[1]


@dataclass(frozen=True, slots=True)
class FormDay:
    """A day that is not enabled keeps its windows in the form, where they mean nothing."""

    weekday: int | None
    enabled: bool
    windows: Sequence[FormWindow]


def form_faults(days: Iterable[FormDay]) -> Iterator[FieldError]:
    """Everything that keeps these days from being saved."""
    seen: set[int | None] = {None}
    for number, day in enumerate(days):
        path = f"days.{number}"
        if day.weekday in seen - {None}:
            yield FieldError(
                f"{path}.dayOfWeek", "DUPLICATE_DAY", "Each day may be in the form once."
            )
        seen.add(day.weekday)
        if not day.enabled:
            continue
        if not day.windows:
            yield FieldError(
                f"{path}.enabled", "NO_WINDOWS", "Enabled days must have at least one window."
            )
        for place, window in enumerate(day.windows):
            yield from window_faults(f"{path}.windows.{place}", window)
        yield from _overlaps(path, day.windows)


def window_faults(path: str, window: FormWindow) -> Iterator[FieldError]:
    """What is wrong with one window, whatever others there are."""
    if window.span is not None and not window.is_sound:
        yield FieldError(
            f"{path}.workEndLocal",
            "END_BEFORE_START",
            "End time must be after start time. A shift over midnight is two windows: one until "
            "24:00 and one of the next day from 00:00.",
        )
    first, last = window.effective_from, window.effective_to
    if first is not None and last is not None and last < first:
        yield FieldError(
            f"{path}.effectiveTo",
            "EFFECTIVE_TO_BEFORE_FROM",
            "The last day must not be before the first.",
        )
    yield from _break_faults(path, window)


def _break_faults(path: str, window: FormWindow) -> Iterator[FieldError]:
    earlier: list[Interval] = []
    for number, each in enumerate(window.breaks):
        if each is None:
            continue
        here = f"{path}.breaks.{number}"
        start, end = each
        if end <= start:
            yield FieldError(
                f"{here}.breakEndLocal", "END_BEFORE_START", "A break must end after it starts."
            )
            continue
        if (
            window.span is not None
            and window.is_sound
            and not window.span[0] <= start < end <= window.span[1]
        ):
            yield FieldError(here, "BREAK_OUTSIDE_WINDOW", "Break must be inside the work window.")
        if any(_overlap(each, other) for other in earlier):
            yield FieldError(here, "BREAK_OVERLAP", "Breaks must not overlap each other.")
        earlier.append(each)


def _overlaps(path: str, windows: Sequence[FormWindow]) -> Iterator[FieldError]:
    """Of two windows of one form none is older, so no rule would say who owns the overlap."""
    later = {
        number
        for (_, window), (number, other) in combinations(enumerate(windows), 2)
        if window.is_sound and other.is_sound and _compete(window, other)
    }
    for number in sorted(later):
        yield FieldError(
            f"{path}.windows.{number}",
            "WINDOWS_OVERLAP",
            "Overlaps an earlier window of this day. Give them different priorities, or dates of "
            "which none is common.",
        )


def _compete(window: FormWindow, other: FormWindow) -> bool:
    return (
        window.span is not None
        and other.span is not None
        and _overlap(window.span, other.span)
        and window.priority is not None
        and window.priority == other.priority
        and (window.effective_from or date.min) <= (other.effective_to or date.max)
        and (other.effective_from or date.min) <= (window.effective_to or date.max)
    )


def _overlap(one: Interval, other: Interval) -> bool:
    return one[0] < other[1] and other[0] < one[1]
