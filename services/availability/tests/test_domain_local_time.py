"""Local times against the clock on the wall, minute by minute."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.domain.local_time import (
    day_of,
    instant,
    midnights,
    minutes_down,
    minutes_up,
    moment,
)

from .oracle import cases, furthest_clock

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
DATES = st.dates(date(1850, 1, 1), date(2150, 1, 1))
MINUTES = st.integers(0, 1440)


def utc(zone: str, on: date, at: str) -> str:
    hours, minutes = map(int, at.split(":"))
    return f"{moment(instant(zone, on.toordinal(), hours * 60 + minutes)):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("zone", "on", "at", "expected"),
    [
        ("Europe/Athens", date(2026, 3, 29), "02:59", "2026-03-29 00:59"),
        ("Europe/Athens", date(2026, 3, 29), "03:00", "2026-03-29 01:00"),
        ("Europe/Athens", date(2026, 3, 29), "03:30", "2026-03-29 01:00"),
        ("Europe/Athens", date(2026, 3, 29), "04:00", "2026-03-29 01:00"),
        ("Europe/Athens", date(2026, 10, 25), "03:30", "2026-10-25 00:30"),
        ("Europe/Athens", date(2026, 10, 25), "04:00", "2026-10-25 02:00"),
        ("America/New_York", date(2026, 3, 8), "02:30", "2026-03-08 07:00"),
        ("America/New_York", date(2026, 11, 1), "01:30", "2026-11-01 05:30"),
        ("Australia/Lord_Howe", date(2026, 10, 4), "02:10", "2026-10-03 15:30"),
        ("Australia/Lord_Howe", date(2026, 4, 5), "01:45", "2026-04-04 14:45"),
        ("Australia/Lord_Howe", date(2026, 4, 5), "02:00", "2026-04-04 15:30"),
        ("America/Santiago", date(2026, 9, 6), "00:00", "2026-09-06 04:00"),
        ("America/Santiago", date(2026, 9, 5), "24:00", "2026-09-06 04:00"),
        ("America/Santiago", date(2026, 4, 4), "23:30", "2026-04-05 02:30"),
        ("America/Santiago", date(2026, 4, 4), "24:00", "2026-04-05 04:00"),
        ("Africa/Casablanca", date(2026, 2, 15), "03:00", "2026-02-15 03:00"),
        ("Africa/Casablanca", date(2009, 6, 1), "00:30", "2009-06-01 00:00"),
        ("Africa/Casablanca", date(2009, 6, 1), "02:00", "2009-06-01 01:00"),
        ("Asia/Kathmandu", date(2026, 6, 6), "09:00", "2026-06-06 03:15"),
        ("Pacific/Kiritimati", date(2026, 1, 1), "00:00", "2025-12-31 10:00"),
        ("Pacific/Apia", date(2011, 12, 29), "24:00", "2011-12-30 10:00"),
        ("Pacific/Apia", date(2011, 12, 30), "09:00", "2011-12-30 10:00"),
        ("Pacific/Apia", date(2011, 12, 31), "09:00", "2011-12-30 19:00"),
        ("Africa/Monrovia", date(1971, 6, 1), "09:00", "1971-06-01 09:45"),
    ],
)
def test_local_times_mean_these_instants(zone: str, on: date, at: str, expected: str) -> None:
    assert utc(zone, on, at) == expected


@pytest.mark.parametrize(
    ("zone", "on", "hours"),
    [
        ("Europe/Athens", date(2026, 3, 29), 23),
        ("Europe/Athens", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Pacific/Apia", date(2011, 12, 30), 0),
        ("America/Santiago", date(2026, 4, 4), 25),
    ],
)
def test_a_day_is_as_long_as_the_clock_gives(zone: str, on: date, hours: float) -> None:
    day = on.toordinal()

    assert instant(zone, day, 1440) - instant(zone, day, 0) == hours * 60


@cases(80)
@given(st.sampled_from(ZONES), DATES, MINUTES, st.booleans())
def test_a_local_time_has_come_once_the_clock_shows_it_or_a_later_one(
    zone: str, on: date, minute: int, near_a_change: bool
) -> None:
    day = _next_change(zone, on.toordinal()) if near_a_change else on.toordinal()
    local = datetime.combine(date.fromordinal(day), time()) + timedelta(minutes=minute)
    first = local.replace(tzinfo=UTC) - timedelta(hours=14 + 25)
    minutes = [first + timedelta(minutes=n) for n in range((14 + 25 + 16) * 60)]

    clock = furthest_clock(zone, minutes)

    come = next(index for index, shown in enumerate(clock) if shown >= local)
    assert moment(instant(zone, day, minute)) == minutes[come]


@cases(80)
@given(st.sampled_from(ZONES), DATES, st.integers(0, 40))
def test_every_instant_is_in_the_day_that_began_last(zone: str, on: date, length: int) -> None:
    first = on.toordinal()
    days = list(midnights(zone, first, first + length))

    assert [day for day, _, _ in days] == list(range(first, first + length + 1))
    for day, midnight, is_plain in days:
        assert midnight == instant(zone, day, 0)
        assert instant(zone, day, 0) <= instant(zone, day, 720) <= instant(zone, day + 1, 0)
        assert instant(zone, day, 1440) == instant(zone, day + 1, 0)
        if is_plain:
            assert instant(zone, day, 1440) == midnight + 1440
        if midnight < instant(zone, day + 1, 0):
            assert day_of(zone, midnight) == day
            assert day_of(zone, instant(zone, day + 1, 0) - 1) == day


def test_moments_become_whole_minutes_up_or_down() -> None:
    exact = datetime(2026, 5, 1, 12, 0, tzinfo=timezone(timedelta(hours=3)))
    later = exact + timedelta(microseconds=1)
    before_the_epoch = datetime(1969, 12, 31, 23, 58, 30, tzinfo=UTC)

    assert moment(minutes_up(exact)) == moment(minutes_down(exact)) == exact
    assert moment(minutes_down(later)) == exact
    assert moment(minutes_up(later)) == exact + timedelta(minutes=1)
    assert (minutes_down(before_the_epoch), minutes_up(before_the_epoch)) == (-2, -1)


@pytest.mark.parametrize("year", [1, 9999])
def test_years_at_the_end_of_time_are_refused(year: int) -> None:
    with pytest.raises(ValueError, match="year"):
        instant("Europe/Athens", date(year, 6, 1).toordinal(), 0)


def _next_change(zone: str, day: int) -> int:
    for at, midnight, _ in midnights(zone, day, day + 370):
        if instant(zone, at + 1, 0) != midnight + 1440:
            return at
    return day
