"""What calendar-sync tells Prometheus of connections: how many, how well, how fresh."""

from collections.abc import Awaitable
from datetime import timedelta
from typing import get_args

from prometheus_client import Counter, Gauge

from calendar_sync.calendars.contract import Temporary
from shared.db import Database
from shared.due_work import DueWork
from shared.events.calendar import CalendarKind
from shared.http import Response

EVERY = timedelta(minutes=1)

_CALLS = Counter(
    "calendar_calls_total",
    "Requests to calendars, by what came back: 2xx to 5xx, or nothing.",
    ["kind", "outcome"],
)
_CONNECTIONS = Gauge(
    "calendar_connections", "Connections to providers' own calendars.", ["kind", "state"]
)
_FAILING = Gauge(
    "calendar_connections_failing", "Connected ones whose last visit has failed.", ["kind"]
)
_OLDEST_READ = Gauge(
    "calendar_oldest_read_timestamp_seconds",
    "Unix time of the last reading of the connected calendar that was read longest ago.",
    ["kind"],
)
_CHANNELS = Gauge("calendar_push_channels", "Open channels through which providers tell changes.")
_NEXT_EXPIRY = Gauge(
    "calendar_push_channel_expiry_timestamp_seconds",
    "Unix time at which the first of the newest channels ends; 0 when there is none.",
)

_KINDS: tuple[CalendarKind, ...] = get_args(CalendarKind)
_STATES = ("connected", "broken", "disconnecting")

# One row for each account of a provider, all of them read: 20,000 take 33 ms.
_OF_CONNECTIONS = """
SELECT kind, state, count(*) AS count, count(*) FILTER (WHERE failures > 0) AS failing,
    extract(epoch FROM min(coalesce(read_at, created_at)))::float AS oldest
FROM connections GROUP BY kind, state
"""
_OF_CHANNELS = """
SELECT count(*) AS count, coalesce(extract(epoch FROM min(ends)), 0)::float AS expiry FROM (
    SELECT max(expires_at) AS ends FROM push_channels
    WHERE external_id IS NOT NULL GROUP BY calendar_id
) newest
"""

DUE: DueWork = {
    "calendar visits": """
        SELECT next_visit_at AS due_at FROM connections
        WHERE state <> 'broken' AND next_visit_at <= now()
            AND (lease_until IS NULL OR lease_until < now())
        ORDER BY next_visit_at
    """
}


def count_call(kind: CalendarKind, status: int | None) -> None:
    """``None`` for a request without an answer."""
    _CALLS.labels(kind, "nothing" if status is None else f"{status // 100}xx").inc()


async def counted(kind: CalendarKind, call: Awaitable[Response]) -> Response:
    """The answer to a call that raises Temporary where there is none."""
    try:
        answer = await call
    except Temporary:
        count_call(kind, None)
        raise
    count_call(kind, answer.status_code)
    return answer


async def look_at_connections(database: Database) -> None:
    """What is the same for all workers, so any one of them tells it."""
    async with database.reading() as db:
        rows = await db.fetch(_OF_CONNECTIONS)
        channels = await db.fetchrow(_OF_CHANNELS)
    found = {(row["kind"], row["state"]): row for row in rows}
    for kind in _KINDS:
        for state in _STATES:
            row = found.get((kind, state))
            _CONNECTIONS.labels(kind, state).set(row["count"] if row else 0)
        connected = found.get((kind, "connected"))
        _FAILING.labels(kind).set(connected["failing"] if connected else 0)
        if connected:
            _OLDEST_READ.labels(kind).set(connected["oldest"])
        else:
            _OLDEST_READ.labels(kind).set_to_current_time()
    if channels is not None:
        _CHANNELS.set(channels["count"])
        _NEXT_EXPIRY.set(channels["expiry"])
