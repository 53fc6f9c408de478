"""Instants, days, wall-clock times and time zones as clients write them."""

import re
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from shared.fields.parsed import Parsed, wrong

FIRST_YEAR, LAST_YEAR = 1970, 2199

_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_NOT_ZONES = {"localtime", "Factory", "posixrules"}
_LONGEST_ZONE = 64


def instant_text(instant: datetime) -> str:
    """The one way an instant is written: ``2026-03-29T01:00:00.000Z``, as JavaScript writes it."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _instant(value: Any) -> datetime:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise wrong("NOT_AN_INSTANT", "An instant needs a time zone.")
        return value.astimezone(UTC)
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise wrong(
            "NOT_AN_INSTANT",
            "Write an instant as 2026-03-29T09:30:00Z or with an offset such as +03:00.",
        )
    try:
        instant = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong("NO_SUCH_INSTANT", "There is no such day or time.") from None
    _check_year(instant.year)
    return instant


def _local_date(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise wrong("NOT_A_DATE", "Write a date as 2026-03-29.")
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise wrong("NO_SUCH_DATE", "There is no such day.") from None
    _check_year(day.year)
    return day


def _local_time(value: Any) -> time:
    if isinstance(value, time):
        return value
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise wrong("NOT_A_TIME", "Write a time of day as 09:30, from 00:00 to 23:59.")
    return time(int(value[:2]), int(value[3:]))


def _check_year(year: int) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise wrong("YEAR_OUT_OF_RANGE", f"The year must be from {FIRST_YEAR} to {LAST_YEAR}.")


@cache
def zone_names() -> frozenset[str]:
    """Every IANA zone that this machine knows, without the names that mean its own zone."""
    return frozenset(
        name
        for name in available_timezones() - _NOT_ZONES
        if not name.startswith(("posix/", "right/")) and len(name) <= _LONGEST_ZONE
    )


def _zone_id(value: Any) -> str:
    if not isinstance(value, str) or value not in zone_names():
        raise wrong("UNKNOWN_TIME_ZONE", "Write a time zone by its IANA name: Europe/Athens.")
    return value


Instant = Annotated[
    datetime,
    Parsed(
        _instant,
        {"type": "string", "format": "date-time", "examples": ["2026-03-29T09:30:00.000Z"]},
        instant_text,
    ),
]
"""RFC 3339 with offset in, aware UTC inside, always ``…T09:30:00.000Z`` out."""

LocalDate = Annotated[
    date,
    Parsed(
        _local_date,
        {"type": "string", "format": "date", "examples": ["2026-03-29"]},
        date.isoformat,
    ),
]

LocalTime = Annotated[
    time,
    Parsed(
        _local_time,
        {
            "type": "string",
            "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
            "examples": ["09:30"],
        },
        lambda value: f"{value:%H:%M}",
    ),
]
"""A time on the wall clock of some zone, to the minute."""

ZoneId = Annotated[
    str,
    Parsed(
        _zone_id,
        {
            "type": "string",
            "format": "iana-time-zone",
            "pattern": "^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$",
            "maxLength": _LONGEST_ZONE,
            "examples": ["Europe/Athens"],
        },
    ),
]
"""The name of a zone that ``ZoneInfo`` certainly knows."""
