"""Quiet hours on real wall clocks, with days of 23 and 25 hours."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifications.domain.quiet_hours import QuietHours, disturbing_nobody

ATHENS = ZoneInfo("Europe/Athens")
NIGHT = QuietHours(time(22), time(7))
ZONES = ["Europe/Athens", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]
_A_WEEK = timedelta(days=7)

instants = st.integers(0, 2 * 365 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
times = st.times().map(lambda each: each.replace(second=0, microsecond=0))


def athens(*at: int) -> datetime:
    return datetime(*at, tzinfo=ATHENS).astimezone(UTC)


@pytest.mark.parametrize(
    ("due", "latest", "told"),
    [
        # By day it stays as it is; the end of the night is day, its beginning is night.
        ((2026, 5, 4, 12, 0), (2026, 5, 4, 14, 0), (2026, 5, 4, 12, 0)),
        ((2026, 5, 4, 7, 0), (2026, 5, 4, 8, 0), (2026, 5, 4, 7, 0)),
        ((2026, 5, 3, 22, 0), (2026, 5, 4, 21, 0), (2026, 5, 4, 7, 0)),
        ((2026, 5, 4, 5, 30), (2026, 5, 4, 7, 15), (2026, 5, 4, 7, 0)),
        # Too late for the morning: the evening before.
        ((2026, 5, 4, 5, 0), (2026, 5, 4, 7, 0), (2026, 5, 3, 21, 59)),
        ((2026, 5, 3, 23, 0), (2026, 5, 4, 1, 0), (2026, 5, 3, 21, 59)),
        # The clocks go forward at 03:00 and back at 04:00.
        ((2026, 3, 29, 2, 30), (2026, 3, 29, 12, 0), (2026, 3, 29, 7, 0)),
        ((2026, 10, 25, 2, 30), (2026, 10, 25, 12, 0), (2026, 10, 25, 7, 0)),
    ],
)
def test_what_falls_into_the_night_waits_or_comes_before(
    due: tuple[int, ...], latest: tuple[int, ...], told: tuple[int, ...]
) -> None:
    at = disturbing_nobody(athens(*due), latest=athens(*latest), quiet=NIGHT, zone=ATHENS)

    assert at == athens(*told)


def test_hours_that_end_in_a_gap_end_after_it() -> None:
    quiet = QuietHours(time(1), time(3, 30))

    at = disturbing_nobody(
        athens(2026, 3, 29, 2, 0), latest=athens(2026, 3, 29, 12, 0), quiet=quiet, zone=ATHENS
    )

    assert at == athens(2026, 3, 29, 4, 0)


@example(datetime(2026, 3, 29, 0, 30, tzinfo=UTC), _A_WEEK, time(1), time(3, 30), "Europe/Athens")
@example(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), _A_WEEK, time(3), time(3, 30), "Europe/Athens")
@given(
    due=instants,
    notice=st.timedeltas(timedelta(minutes=1), _A_WEEK),
    start=times,
    end=times,
    zone=st.sampled_from(ZONES),
)
def test_nobody_is_disturbed_and_nothing_comes_too_late(
    due: datetime, notice: timedelta, start: time, end: time, zone: str
) -> None:
    if start == end:
        return
    there, latest = ZoneInfo(zone), due + notice
    quiet = QuietHours(start, end)

    at = disturbing_nobody(due, latest=latest, quiet=quiet, zone=there)

    assert at < latest
    if at < due:  # before it, and the wall clock says so, unless the minute before was changed
        assert quiet.around(due, there) is not None
    elif at > due:
        # The window was left at its end, and no other begins or goes on there.
        assert quiet.around(due, there) is not None
        assert quiet.around(at, there) is None
        assert at - due <= timedelta(days=1, hours=1)
    else:
        assert quiet.around(due, there) is None


@given(
    instant=instants,
    start=times,
    end=times,
    zone=st.sampled_from(ZONES),
)
def test_the_window_is_what_the_wall_clock_says(
    instant: datetime, start: time, end: time, zone: str
) -> None:
    there = ZoneInfo(zone)
    moments = [instant + timedelta(hours=each) for each in (-26, -13, 0, 13, 26)]
    if start == end or len({each.astimezone(there).utcoffset() for each in moments}) > 1:
        return  # only around a change of the clocks the wall clock alone does not decide
    clock = instant.astimezone(there).time()
    is_quiet = start <= clock < end if start < end else clock >= start or clock < end

    assert (QuietHours(start, end).around(instant, there) is not None) == is_quiet
