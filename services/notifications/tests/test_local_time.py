"""Instants as the recipient's clock shows them."""

from datetime import UTC, datetime

import pytest

from notifications.domain.local_time import local_time, zone_of


@pytest.mark.parametrize(
    ("zone", "instant", "text"),
    [
        (
            "Europe/Athens",
            datetime(2026, 11, 24, 7, 30, tzinfo=UTC),
            "Tuesday, 24 November 2026, 09:30 (Europe/Athens, UTC+02:00)",
        ),
        (
            "America/New_York",
            datetime(2026, 11, 24, 3, 30, tzinfo=UTC),
            "Monday, 23 November 2026, 22:30 (America/New_York, UTC-05:00)",
        ),
        (
            "Asia/Kathmandu",
            datetime(2026, 1, 1, 0, 0, tzinfo=UTC),
            "Thursday, 1 January 2026, 05:45 (Asia/Kathmandu, UTC+05:45)",
        ),
        (
            "America/St_Johns",
            datetime(2026, 1, 1, 3, 0, tzinfo=UTC),
            "Wednesday, 31 December 2025, 23:30 (America/St_Johns, UTC-03:30)",
        ),
        (
            "UTC",
            datetime(2026, 6, 7, 12, 5, tzinfo=UTC),
            "Sunday, 7 June 2026, 12:05 (UTC, UTC+00:00)",
        ),
    ],
)
def test_the_zone_and_its_offset_are_always_named(zone: str, instant: datetime, text: str) -> None:
    assert str(local_time(instant, zone_of(zone))) == text


def test_the_two_equal_hours_of_a_clock_change_differ_by_their_offset() -> None:
    athens = zone_of("Europe/Athens")
    first = local_time(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), athens)
    second = local_time(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), athens)

    assert first.time == second.time == "03:30"
    assert (first.offset, second.offset) == ("UTC+03:00", "UTC+02:00")


@pytest.mark.parametrize("wish", [None, "", "Mars/Base", "../../etc/passwd", "Europe", "x" * 5000])
def test_what_is_no_zone_gives_way_to_the_next_wish(wish: str | None) -> None:
    assert zone_of(wish, "Europe/Athens").key == "Europe/Athens"
    assert zone_of(wish).key == "UTC"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Tuesday, 24 November 2026, 09:30 "),
        ("en-US", "Tuesday, November 24, 2026, 9:30 AM "),
        ("el", "Τρίτη 24 Νοεμβρίου 2026, 9:30 π.μ. "),
        ("de", "Dienstag, 24. November 2026, 09:30 "),
        ("de-AT", "Dienstag, 24. November 2026, 09:30 "),
        ("xx", "Tuesday, 24 November 2026, 09:30 "),
        ("../etc", "Tuesday, 24 November 2026, 09:30 "),
    ],
)
def test_dates_are_written_as_the_reader_writes_them(language: str, text: str) -> None:
    instant = datetime(2026, 11, 24, 7, 30, tzinfo=UTC)

    written = local_time(instant, zone_of("Europe/Athens"), language)

    assert str(written) == f"{text}(Europe/Athens, UTC+02:00)"
