"""From what a calendar says to the times at which its owner is busy."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from calendar_sync.calendars.contract import ExternalEvent, Occurrence, Window

MOST_IN_A_SPAN = 3000
"""Busy times of one month that are told one by one; of more, only when they are."""

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2199, 12, 31, tzinfo=UTC)
_GRID = timedelta(minutes=15)


class Busy(NamedTuple):
    """``[start, end)`` in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose calendar is read, as far as it matters for what is busy."""

    zone: ZoneInfo
    """The calendar's: its days and its local times are meant in it."""
    window: Window
    host: str
    """The part behind the @ in the UIDs of our own events."""
    tentative_is_busy: bool = True

    def busy_times(self, event: ExternalEvent) -> list[Busy]:
        """Each start once; none for an event of ours, or outside of the window."""
        if is_ours(event, self.host):
            return []
        longest: dict[datetime, datetime] = {}
        for occurrence in event.occurrences:
            if not self._takes_time(occurrence):
                continue
            start = _within(instant_of(occurrence.start, self.zone))
            end = _within(instant_of(occurrence.end, self.zone))
            if start < end and start < self.window.end and end > self.window.start:
                longest[start] = max(end, longest.get(start, end))
        return [Busy(start, end) for start, end in sorted(longest.items())]

    def _takes_time(self, occurrence: Occurrence) -> bool:
        if occurrence.is_cancelled or occurrence.is_declined or occurrence.is_free:
            return False
        return self.tentative_is_busy or not occurrence.is_tentative


def is_ours(event: ExternalEvent, host: str) -> bool:
    """Whether we made the event, or it comes from one of our feeds: an appointment that stands in
    the provider's calendar would otherwise be in its own way when it is moved."""
    return event.key is not None or (event.uid or "").endswith(f"@{host}")


def instant_of(value: datetime | date, zone: ZoneInfo) -> datetime:
    """In UTC; a local time that comes twice is its first, one that never comes the one after the
    gap."""
    if not isinstance(value, datetime):
        value = datetime.combine(value, time.min)
    if value.tzinfo is not None:
        return value.astimezone(UTC) if _EARLIEST.year <= value.year < 9999 else _clamped(value)
    if not _EARLIEST.year < value.year < _LATEST.year:
        return _clamped(value)
    return value.replace(tzinfo=zone, fold=0).astimezone(UTC)


def condensed(busy: Iterable[Busy]) -> list[Busy]:
    """When, without what: by the quarter of an hour, never less than it was, and so at most 1,488
    times that begin in one month."""
    merged: list[Busy] = []
    for start, end in sorted(Busy(_quarter(each.start), _quarter_after(each.end)) for each in busy):
        if merged and start <= merged[-1].end:
            merged[-1] = Busy(merged[-1].start, max(end, merged[-1].end))
        else:
            merged.append(Busy(start, end))
    return merged


def _quarter(instant: datetime) -> datetime:
    return instant - (instant - _EARLIEST) % _GRID


def _quarter_after(instant: datetime) -> datetime:
    return instant + (_EARLIEST - instant) % _GRID


def _clamped(value: datetime) -> datetime:
    return _EARLIEST if value.year <= _EARLIEST.year else _LATEST


def _within(instant: datetime) -> datetime:
    return min(max(instant, _EARLIEST), _LATEST)
