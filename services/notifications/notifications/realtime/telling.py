"""Writing the history that every client is served from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from notifications.appointment_facts import appointment_facts, is_told
from notifications.realtime.changes import Change
from notifications.realtime.channels import Channel, Kind
from shared.db import Connection
from shared.events.availability import AvailabilityChanged
from shared.events.booking import AppointmentEvent

WAKE_CHANNEL = "realtime"
KEPT_FOR = timedelta(minutes=15)
PAUSE = timedelta(milliseconds=250)
"""Watchers of one provider are told of changes once in this time."""

_ONE_WRITER = "realtime_messages"
# The lock comes before the positions are drawn, so they are in the order of the commits.
_TELL = f"""
    WITH turn AS MATERIALIZED (
        SELECT pg_advisory_xact_lock(hashtextextended('{_ONE_WRITER}', 0))
    )
    INSERT INTO realtime_messages (channel, event, data, is_foreign)
    SELECT channel, event, data, $4
    FROM turn, unnest($1::text[], $2::text[], $3::text[])
        WITH ORDINALITY AS message (channel, event, data, place)
    ORDER BY place
    RETURNING pg_notify('{WAKE_CHANNEL}', '')
"""


@dataclass(frozen=True, slots=True)
class News:
    channel: str
    event: str
    data: Mapping[str, Any]


async def tell(db: Connection, news: Sequence[News], *, is_foreign: bool = False) -> None:
    """Tell all who watch, when the transaction commits; nothing else may be locked by it, or
    writers would wait for each other in a circle."""
    await db.execute(
        _TELL,
        [each.channel for each in news],
        [each.event for each in news],
        [orjson.dumps(each.data).decode() for each in news],
        is_foreign,
    )


async def tell_of_appointment(db: Connection, event: AppointmentEvent) -> None:
    """The patient and the provider see what has become of it: ids and times, nothing else."""
    if not is_told(event):
        return
    data = appointment_facts(event)
    channels = [
        Channel(Kind.USER_BOOKINGS, event.user_id),
        Channel(Kind.PROVIDER_BOOKINGS, event.provider_id),
    ]
    await tell(db, [News(channel.name, event.type, data) for channel in channels])


async def tell_of_availability(db: Connection, event: AvailabilityChanged) -> None:
    """At once when the provider's watchers have not been told anything just now, else soon."""
    change = Change.of(event)
    # The provider's row and the order of messages are guarded by the one lock, taken first.
    row = await db.fetchrow(
        f"""
        WITH turn AS MATERIALIZED (
            SELECT pg_advisory_xact_lock(hashtextextended('{_ONE_WRITER}', 0))
        )
        SELECT version, waiting, told_at > clock_timestamp() - $2::interval AS told_just_now
        FROM turn JOIN realtime_availability ON provider_id = $1
        """,
        event.provider_id,
        PAUSE,
    )
    if row is not None:
        known = Change(row["version"], change.start, change.end, {})
        if row["waiting"] is not None:
            known = Change(**row["waiting"])
        change = known.followed_by(change)
    if row is not None and row["told_just_now"]:
        await db.execute(
            "UPDATE realtime_availability SET version = $2, waiting = $3 WHERE provider_id = $1",
            event.provider_id,
            change.version,
            asdict(change),
        )
        return
    await _tell_change(db, event.provider_id, change)


async def tell_what_waits(db: Connection) -> None:
    """A timer's tick: whose watchers have waited long enough."""
    due = "waiting IS NOT NULL AND told_at <= clock_timestamp() - $1::interval"
    if not await db.fetchval(
        f"SELECT EXISTS (SELECT FROM realtime_availability WHERE {due})", PAUSE
    ):
        return
    await db.execute(f"SELECT pg_advisory_xact_lock(hashtextextended('{_ONE_WRITER}', 0))")
    rows = await db.fetch(
        f"SELECT provider_id, waiting FROM realtime_availability WHERE {due} ORDER BY told_at",
        PAUSE,
    )
    for row in rows:
        await _tell_change(db, row["provider_id"], Change(**row["waiting"]))


async def _tell_change(db: Connection, provider_id: UUID, change: Change) -> None:
    channel = Channel(Kind.AVAILABILITY, provider_id).name
    told = [News(channel, event, data) for event, data in change.messages(str(provider_id))]
    await tell(db, told)
    await db.execute(
        """
        INSERT INTO realtime_availability (provider_id, version, told_at)
        VALUES ($1, $2, clock_timestamp())
        ON CONFLICT (provider_id) DO UPDATE
        SET version = EXCLUDED.version, told_at = EXCLUDED.told_at, waiting = NULL
        """,
        provider_id,
        change.version,
    )


async def is_recent(db: Connection, at: datetime) -> bool:
    """False for what is told again from a history of long ago: clients know it."""
    recent: bool = await db.fetchval("SELECT $1 > now() - $2::interval", at, KEPT_FOR)
    return recent


async def forget_old(db: Connection) -> None:
    """A timer's tick. What has been forgotten is remembered by its last position."""
    await db.execute(
        """
        WITH gone AS (
            DELETE FROM realtime_messages WHERE position <= (
                SELECT max(position) FROM (
                    SELECT position, created_at FROM realtime_messages
                    ORDER BY position LIMIT 10000
                ) AS oldest WHERE created_at < now() - $1::interval
            )
            RETURNING position
        )
        UPDATE realtime_history SET forgotten_to = greatest(
            forgotten_to, (SELECT max(position) FROM gone)
        )
        WHERE EXISTS (SELECT FROM gone)
        """,
        KEPT_FOR,
    )
