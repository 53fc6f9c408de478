"""How far ahead calendars are read, and the months in which busy times are told."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from calendar_sync.calendars.contract import Window

_MONTHS_AHEAD = 14
_MOST_SPREAD = timedelta(days=27)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2199, 12, 1, tzinfo=UTC)


def window_at(now: datetime, connection_id: UUID) -> Window:
    """Whole months, from before ``now`` to at least thirteen months after it.

    It moves once a month, which costs a full reading: for each connection at a time of its own.
    """
    start = month_of(now - spread(connection_id))
    return Window(start, months_after(start, _MONTHS_AHEAD))


def spread(connection_id: UUID) -> timedelta:
    """A part of a month that is the connection's own."""
    return _MOST_SPREAD * (connection_id.int % 1009) / 1009


def month_of(instant: datetime) -> datetime:
    """The month, in UTC, with which a busy time that begins then is told."""
    start = min(max(instant.astimezone(UTC), _EARLIEST), _LATEST)
    return start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def months_after(month: datetime, count: int) -> datetime:
    """The first instant of the month so many months later."""
    years, index = divmod(month.month - 1 + count, 12)
    return month.replace(year=month.year + years, month=index + 1)
