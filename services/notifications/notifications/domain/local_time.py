"""Instants as people read them: on the wall clock of their zone, which is named, in their words."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time

from shared.fields.times import zone_names

_EUROPEAN = {"en": "en-GB"}
"""Whose plain language tag would mean the clock and calendar of the United States."""


@dataclass(frozen=True, slots=True)
class LocalTime:
    """As text: ``Tuesday, 24 November 2026, 09:30 (Europe/Athens, UTC+02:00)``."""

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


@lru_cache(maxsize=1000)
def locale_of(language: str) -> Locale:
    """How dates are written in it; as in ``en-GB`` when it is none that is known."""
    for tag in (_EUROPEAN.get(language, language), language.partition("-")[0]):
        try:
            return Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError, TypeError):
            continue
    return Locale.parse("en_GB")


@lru_cache(maxsize=10_000)
def local_time(instant: datetime, zone: ZoneInfo, language: str = "en") -> LocalTime:
    there = instant.astimezone(zone)
    locale = locale_of(language)
    return LocalTime(
        day=_plain(format_date(there.date(), "full", locale)),
        time=_plain(format_time(there.time(), "short", locale=locale)),
        zone=zone.key,
        offset=_offset(there.utcoffset() or timedelta()),
    )


def _plain(text: str) -> str:
    """With spaces that every telephone knows: one odd character halves what an SMS can hold."""
    return text.replace("\u202f", " ").replace("\xa0", " ")


def _offset(offset: timedelta) -> str:
    minutes = round(offset / timedelta(minutes=1))
    sign = "-" if minutes < 0 else "+"
    return f"UTC{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
