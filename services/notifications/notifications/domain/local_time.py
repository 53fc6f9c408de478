"""Instants as people read them: on the wall clock of their zone, which is named."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from shared.fields.times import zone_names

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class LocalTime:
    """As text: ``Tuesday 24 November 2026, 09:30 (Europe/Athens, UTC+02:00)``."""

    day: str
    time: str
    zone: str
    offset: str

    def __str__(self) -> str:
        return f"{self.day}, {self.time} ({self.zone}, {self.offset})"


def zone_of(*wishes: str | None) -> ZoneInfo:
    """The first of the names that is a time zone; UTC when none is."""
    known = zone_names()
    return ZoneInfo(next((wish for wish in wishes if wish in known), "UTC"))


def local_time(instant: datetime, zone: ZoneInfo) -> LocalTime:
    there = instant.astimezone(zone)
    return LocalTime(
        day=f"{_DAYS[there.weekday()]} {there.day} {_MONTHS[there.month - 1]} {there.year}",
        time=f"{there:%H:%M}",
        zone=zone.key,
        offset=_offset(there.utcoffset() or timedelta()),
    )


def _offset(offset: timedelta) -> str:
    minutes = round(offset / timedelta(minutes=1))
    sign = "-" if minutes < 0 else "+"
    return f"UTC{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
