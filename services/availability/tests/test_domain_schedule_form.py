"""What can be wrong with the weekly form: all of it, each by its place."""

from datetime import date
from typing import Any

import pytest

from availability.domain.schedule_form import FormDay, FormWindow, form_faults


def a_day(*windows: FormWindow, weekday: int | None = 1, enabled: bool = True) -> FormDay:
    return FormDay(weekday, enabled, windows)


def a_window(start: int, end: int, *breaks: tuple[int, int] | None, **more: Any) -> FormWindow:
    return FormWindow((start, end), breaks, **more)


def faults(*days: FormDay) -> list[tuple[str, str]]:
    return [(each.path, each.code) for each in form_faults(days)]


def test_a_sound_form_has_no_fault() -> None:
    split = a_day(a_window(540, 780, (600, 615), (615, 630)), a_window(780, 1440))

    assert faults(split, a_day(a_window(0, 1440), weekday=2)) == []


def test_every_fault_is_named_at_once() -> None:
    form = [
        a_day(
            a_window(600, 600),
            a_window(540, 720, (500, 550), (600, 600), (690, 740)),
            a_window(780, 900, (800, 820), (810, 830), (819, 821)),
            a_window(960, 1020, effective_from=date(2030, 2, 1), effective_to=date(2030, 1, 31)),
        ),
        a_day(weekday=3),
        a_day(a_window(0, 60), weekday=1),
    ]

    assert faults(*form) == [
        ("days.0.windows.0.workEndLocal", "END_BEFORE_START"),
        ("days.0.windows.1.breaks.0", "BREAK_OUTSIDE_WINDOW"),
        ("days.0.windows.1.breaks.1.breakEndLocal", "END_BEFORE_START"),
        ("days.0.windows.1.breaks.2", "BREAK_OUTSIDE_WINDOW"),
        ("days.0.windows.2.breaks.1", "BREAK_OVERLAP"),
        ("days.0.windows.2.breaks.2", "BREAK_OVERLAP"),
        ("days.0.windows.3.effectiveTo", "EFFECTIVE_TO_BEFORE_FROM"),
        ("days.1.enabled", "NO_WINDOWS"),
        ("days.2.dayOfWeek", "DUPLICATE_DAY"),
    ]


def test_what_cannot_be_read_gives_no_further_fault() -> None:
    unreadable = FormWindow(None, [None, (600, 660)], None)

    assert (
        faults(a_day(unreadable, unreadable, weekday=None), a_day(weekday=None, enabled=False))
        == []
    )


def test_a_day_that_is_not_enabled_may_hold_anything() -> None:
    assert faults(a_day(a_window(600, 540), enabled=False), a_day(weekday=2, enabled=False)) == []


@pytest.mark.parametrize(
    ("other", "overlaps"),
    [
        ({}, True),
        ({"priority": 1}, False),
        ({"effective_from": date(2030, 7, 1)}, False),
        ({"effective_from": date(2030, 6, 30)}, True),
        ({"effective_to": date(2030, 3, 31)}, False),
        ({"effective_to": date(2030, 4, 1)}, True),
    ],
)
def test_windows_of_a_day_may_overlap_only_by_priority_or_on_other_dates(
    other: dict[str, Any], overlaps: bool
) -> None:
    spring = {"effective_from": date(2030, 4, 1), "effective_to": date(2030, 6, 30)}

    found = faults(a_day(a_window(540, 720, **spring), a_window(719, 800, **other)))

    assert found == ([("days.0.windows.1", "WINDOWS_OVERLAP")] if overlaps else [])


def test_windows_that_touch_do_not_overlap() -> None:
    assert faults(a_day(a_window(720, 800), a_window(540, 720))) == []
