"""Hours in which nobody is to be disturbed, on the recipient's own wall clock."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``start`` to ``end``, over midnight when the end is the earlier one; never equal."""

    start: time
    end: time

    def around(self, instant: datetime, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
        """The window ``[from, until)`` in UTC in which the instant lies."""
        today = instant.astimezone(zone).date()
        for day in (today - _DAY, today, today + _DAY):
            begins = _instant(day, self.start, zone)
            ends = _instant(day if self.end > self.start else day + _DAY, self.end, zone)
            if begins <= instant < ends:
                return begins, ends
        return None


def disturbing_nobody(
    due_at: datetime, *, latest: datetime, quiet: QuietHours | None, zone: ZoneInfo
) -> datetime:
    """When to say what is due at ``due_at`` and of use before ``latest``: at the end of the quiet
    hours in which it falls, or in the last minute before them when their end is too late."""
    window = quiet.around(due_at, zone) if quiet else None
    if window is None:
        return due_at
    begins, ends = window
    return ends if ends < latest else begins - _MINUTE


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """An ambiguous time is its first occurrence; one that is skipped is the first after the gap."""
    there = datetime.combine(day, at, zone)
    instant = there.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == there.replace(tzinfo=None):
        return instant
    # In a gap fold=0 has the offset before it, so the two differ by the gap's length.
    before = there.utcoffset()
    low, high = sorted((there.replace(fold=1).astimezone(UTC), instant))
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)
