"""Waiting until nothing is under way any more, before the final state is read."""

import asyncio
from collections.abc import Sequence

import aio_pika
import asyncpg

from local.console import WentWrong
from local.radicale import Radicale
from shared.messaging.topology import LISTENERS, Queues
from tests.torture.history import Json, now
from tests.torture.outside import events_in
from tests.torture.stand import SERVICES, Stand
from tests.torture.watchers import Stream

_UNPUBLISHED = "SELECT count(*) AS n FROM outbox WHERE published_at IS NULL"
_WORK = {
    "bookings": """SELECT count(*) AS n FROM appointments
        WHERE status = 'held' AND hold_expires_at <= now()""",
    "notifications": """SELECT count(*) AS n FROM (
        SELECT FROM notification_jobs
        WHERE status = 'sending'
            OR status = 'queued'
                AND (due_at <= now() OR attempts > 0 OR kind IN ('confirmed', 'rescheduled'))
        UNION ALL
        SELECT FROM webhook_deliveries WHERE status NOT IN ('delivered', 'failed')) AS due""",
    "calendar-sync": """SELECT (
        SELECT count(*) FROM written_events AS written
        LEFT JOIN entries ON entries.id = appointment_id
        WHERE is_retired OR entries.version IS DISTINCT FROM handled_version
    ) + (
        SELECT count(*) FROM entries JOIN connections USING (provider_id)
        WHERE entries.status = 'confirmed' AND connections.ended_at IS NULL
            AND entries.id NOT IN (SELECT appointment_id FROM written_events)
    ) AS n""",
}


async def settle(
    stand: Stand, radicale: Radicale, streams: Sequence[Stream] = (), *, limit: float
) -> Json:
    """Wait until nothing is under way any more; what still was when the limit came."""
    deadline = now() + limit
    quiet, under_way = 0, {"nobody has looked": 1}
    while now() < deadline:
        try:
            under_way = await _under_way(stand) | await _untold(stand, streams)
            under_way["calendar's busy times"] = await _unread(stand, radicale)
        except (WentWrong, OSError, asyncpg.PostgresError, aio_pika.exceptions.AMQPError) as error:
            under_way = {f"not to be seen: {type(error).__name__}": 1}
        quiet = 0 if any(under_way.values()) else quiet + 1
        if quiet >= 3:
            break
        await asyncio.sleep(0.5)
    return {name: count for name, count in under_way.items() if count}


async def _under_way(stand: Stand) -> dict[str, int]:
    found: dict[str, int] = {}
    for service in SERVICES:
        found[f"{service}'s outbox"] = (await stand.rows(service, _UNPUBLISHED))[0]["n"]
        if service in _WORK:
            found[f"{service}'s work"] = (await stand.rows(service, _WORK[service]))[0]["n"]
    for queue, count in (await _depths(stand)).items():
        if not queue.endswith(".parked"):
            found[queue] = count
    return found


async def _unread(stand: Stand, radicale: Radicale) -> int:
    """Private events that do not block yet, and times that block without one any more."""
    entered = {
        event["starts_at"]
        for event in events_in(await radicale.content())
        if event["uid"].endswith("@torture")
    }
    rows = await stand.rows("availability", "SELECT starts_at FROM external_busy_times")
    return len(entered ^ {row["starts_at"].timestamp() for row in rows})


async def _untold(stand: Stand, streams: Sequence[Stream]) -> dict[str, int]:
    """What is in the history of a channel and has not come to who listens there."""
    newer = "SELECT count(*) AS n FROM realtime_messages WHERE channel = $1 AND position > $2"
    found = {}
    for stream in streams:
        rows = await stand.rows("notifications", newer, stream.channel, int(stream.last or 0))
        found[stream.channel] = rows[0]["n"]
    return found


async def _depths(stand: Stand) -> dict[str, int]:
    connection = await aio_pika.connect(stand.system.demo["amqpUrl"], timeout=5)
    try:
        channel = await connection.channel()
        found = {}
        for name in LISTENERS:
            queues = Queues(name)
            for queue in (queues.main, *queues.retries, queues.parked):
                declared = await channel.declare_queue(queue, passive=True)
                found[queue] = declared.declaration_result.message_count or 0
        return found
    finally:
        await connection.close()
