"""What the clock on the wall means in UTC: local date and minute to a whole UTC minute.

A *day* is the proleptic ordinal of a local date, a *minute* counts from its 00:00 (1440 is the
next midnight), an *instant* is a whole minute since 1970-01-01T00:00Z.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

_SECONDS_PER_DAY = 24 * 60 * 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_END_OF_TIME = 1 << 60
_FIRST_YEAR, _LAST_YEAR = 2, 9998


class _Period(NamedTuple):
    """A stretch of constant offset, in seconds; it ends when the clock would show `clock_end`."""

    starts_at: int
    offset: int
    clock_end: int


class _LocalYear(NamedTuple):
    """One year of one zone: where each day begins, and on which days the clock is changed."""

    first_day: int
    midnights: list[int]
    uneven_days: frozenset[int]
    periods: list[_Period]


@lru_cache(maxsize=4096)
def instant(zone: str, day: int, minute: int) -> int:
    """The first whole UTC minute at which the zone's clock shows this time, or a later one.

    So an ambiguous time means its first occurrence, and a skipped one the first instant after the
    gap. It never decreases when the day or the minute grows.
    """
    year = _year_of(zone, day)
    if day not in year.uneven_days:
        return year.midnights[day - year.first_day] + minute
    return _resolve(year.periods, day, minute)


def midnights(zone: str, first_day: int, last_day: int) -> Iterator[tuple[int, int, bool]]:
    """Every day, its first instant, and whether its minutes just count on from there to 24:00."""
    day = first_day
    while day <= last_day:
        year = _year_of(zone, day)
        for first_instant in year.midnights[day - year.first_day : last_day - year.first_day + 1]:
            yield day, first_instant, day not in year.uneven_days
            day += 1


@lru_cache(maxsize=4096)
def day_of(zone: str, at: int) -> int:
    """The day an instant belongs to: the last one that has begun by then."""
    day = (_EPOCH + timedelta(minutes=at)).astimezone(ZoneInfo(zone)).toordinal()
    if instant(zone, day + 1, 0) <= at:
        return day + 1
    return day


def minutes_up(moment: datetime) -> int:
    """The first whole minute not before an aware moment: for now, and where open time starts."""
    return -((_EPOCH - moment) // timedelta(minutes=1))


def minutes_down(moment: datetime) -> int:
    """The last whole minute not after an aware moment: for where something in the way starts."""
    return (moment - _EPOCH) // timedelta(minutes=1)


def moment(at: int) -> datetime:
    """The aware UTC datetime of an instant."""
    return _EPOCH + timedelta(minutes=at)


def _year_of(zone: str, day: int) -> _LocalYear:
    return _local_year(zone, date.fromordinal(day).year)


@lru_cache(maxsize=512)
def _local_year(zone: str, year: int) -> _LocalYear:
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise ValueError(f"local time is known from year {_FIRST_YEAR} to {_LAST_YEAR}")
    first_day = date(year, 1, 1).toordinal()
    next_year = date(year + 1, 1, 1).toordinal()
    periods = _periods(ZoneInfo(zone), first_day - 2, next_year + 2)
    uneven: set[int] = set()
    for before, after in pairwise(periods):
        clocks = (before.clock_end, after.starts_at + after.offset)
        first, last = (clock // _SECONDS_PER_DAY + _EPOCH_DAY for clock in sorted(clocks))
        uneven.update(range(first, last + 1))
    return _LocalYear(
        first_day,
        [_resolve(periods, day, 0) for day in range(first_day, next_year)],
        frozenset(uneven),
        periods,
    )


def _resolve(periods: list[_Period], day: int, minute: int) -> int:
    clock = (day - _EPOCH_DAY) * _SECONDS_PER_DAY + minute * 60
    period = next(period for period in periods if clock < period.clock_end)
    return -(-max(period.starts_at, clock - period.offset) // 60)


def _periods(zone: ZoneInfo, first_day: int, last_day: int) -> list[_Period]:
    """Looks once a day: no zone has ever changed its offset twice within three days."""
    starts = range(
        (first_day - _EPOCH_DAY) * _SECONDS_PER_DAY,
        (last_day - _EPOCH_DAY + 1) * _SECONDS_PER_DAY,
        _SECONDS_PER_DAY,
    )
    changes = [(starts[0], _offset(zone, starts[0]))]
    for second in starts:
        offset = _offset(zone, second)
        if offset != changes[-1][1]:
            changes.append((_change_before(zone, second, offset), offset))
    ends = [start for start, _ in changes[1:]]
    return [
        _Period(start, offset, end + offset)
        for (start, offset), end in zip(changes, [*ends, _END_OF_TIME], strict=True)
    ]


def _change_before(zone: ZoneInfo, second: int, offset: int) -> int:
    day = range(second - _SECONDS_PER_DAY + 1, second + 1)
    return day[bisect_right(day, False, key=lambda at: _offset(zone, at) == offset)]


def _offset(zone: ZoneInfo, second: int) -> int:
    at = _EPOCH + timedelta(seconds=second)
    return (at.astimezone(zone).replace(tzinfo=UTC) - at) // timedelta(seconds=1)
