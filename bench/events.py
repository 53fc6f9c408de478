"""Events on their way: a backlog drained, 500 a second as they are committed, and a queue consumed.

The yardsticks are aio-pika alone (``event_processes.py``), in a process of its own and on the same
loop: a publisher that waits for confirms, with as many messages in flight as the relay, and a
consumer that acknowledges. Both use a queue as ours are, with the same messages.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from uuid import uuid4

import orjson

from bench.figures import Row, at_least, latencies
from bench.notifications import an_appointment, cpu
from bench.stage import CHECKOUT, Stage
from shared.db import Database
from shared.events.booking import BookingConfirmed
from shared.messaging import outbox
from shared.messaging.broker import connected
from shared.messaging.parking import depth
from shared.messaging.topology import Queues

BACKLOG, CONSUMED = 50_000, 20_000
PER_SECOND, SECONDS = 500, 20.0
ROUNDS = 3
TYPE = BookingConfirmed.type
WITHIN = 120.0

_COPIES = """
INSERT INTO outbox (id, type, subject, sequence, occurred_at, traceparent, data)
SELECT gen_random_uuid(), type, subject, sequence, clock_timestamp(), traceparent, data
FROM (SELECT * FROM outbox ORDER BY position LIMIT 1) one, generate_series(1, $1::integer)
"""
_WAITS = "SELECT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)"
_SPAN = "SELECT extract(epoch FROM max(published_at) - min(published_at))::float FROM outbox"


@dataclass(frozen=True)
class Road:
    """From one service's outbox over a queue of its own to another's inbox."""

    source: Stage
    settings: Mapping[str, str]

    @property
    def queue(self) -> str:
        return self.settings["QUEUE"]

    @asynccontextmanager
    async def process(
        self, role: str, **settings: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """A part of ``event_processes``, ended at the end."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.event_processes", role),
            env=os.environ | self.settings | settings,
            cwd=CHECKOUT,
            stdout=asyncio.subprocess.PIPE,
            limit=64 * 1024 * 1024,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                await process.communicate()

    async def seconds(self, role: str, count: int) -> float:
        """How long that process took for so many messages, by its own clock."""
        async with self.process(role, COUNT=str(count)) as process:
            told, _ = await process.communicate()
        return float(told)

    async def fill(self, count: int) -> None:
        """So many events wait in the outbox, and nothing else is in it."""
        await self.source.as_admin("TRUNCATE outbox")
        async with self.source.database.reading() as db:
            await outbox.put(db, an_appointment())
            await db.execute(_COPIES, count - 1)
        await self.source.as_admin("VACUUM ANALYZE outbox")

    async def published(self) -> None:
        async def nothing_waits() -> bool:
            async with self.source.database.reading() as db:
                return not await db.fetchval(_WAITS)

        await _until(nothing_waits)

    async def drained_in(self) -> float:
        """Seconds between the first mark and the last; the relay's start is none of it."""
        async with self.source.database.reading() as db:
            seconds: float = await db.fetchval(_SPAN)
        return seconds

    async def empty(self) -> None:
        async with connected(os.environ["TEST_AMQP_URL"], name="bench") as connection:
            channel = await connection.channel()
            await (await channel.get_queue(self.queue, ensure=False)).purge()

    async def holds(self, count: int) -> None:
        async with connected(os.environ["TEST_AMQP_URL"], name="bench") as connection:

            async def all_there() -> bool:
                return (await depth(connection, self.queue) or 0) >= count

            await _until(all_there)


async def run(source: Stage, sink: Stage) -> list[Row]:
    queue = f"bench-{uuid4().hex}"
    urls = {"SOURCE": source.database_url, "SINK": sink.database_url}
    road = Road(source, {"QUEUE": queue, **urls})
    async with _declared(queue):
        return [*await drain(road), *await keep_up(road), *await consume(road)]


async def drain(road: Road) -> list[Row]:
    bare_rates, rates, shares, used = [], [], [], []
    for _ in range(ROUNDS):
        bare_rates.append(CONSUMED / await road.seconds("publish", CONSUMED))
        await road.empty()
        await road.fill(BACKLOG)
        async with road.process("relay") as relay:
            await road.published()
            used.append(cpu(relay.pid) / BACKLOG * 1000)
        await road.empty()
        rates.append(BACKLOG / await road.drained_in())
        shares.append(rates[-1] / bare_rates[-1])
    return [
        Row(name="aio-pika alone, 200 unconfirmed", figure=median(bare_rates), unit="/s"),
        Row(
            name=f"the relay, a backlog of {BACKLOG:,} ({median(used):.2f} ms of processor)",
            figure=median(rates),
            unit="/s",
            ratio=median(shares),
            yardstick="aio-pika alone",
            wanted=at_least(0.5),
        ),
    ]


async def keep_up(road: Road) -> tuple[Row, Row]:
    """From the return of a commit to the end of the transaction in which a consumer applies it."""
    committed: dict[str, float] = {}
    await road.fill(1)
    async with road.process("relay"), road.process("consume") as consumer:
        await road.published()
        await _commit_at_a_pace(road.source.database, committed)
        await road.published()
        await _until(lambda: _is_empty(road))
        consumer.terminate()
        told, _ = await consumer.communicate()
    applied = orjson.loads(told)
    return latencies(
        f"commit → applied, {PER_SECOND} events/s",
        [applied[id_] - at for id_, at in committed.items()],
        p99_ms=50,
    )


async def _is_empty(road: Road) -> bool:
    """Nothing waits and nothing is in a consumer's hands."""
    async with connected(os.environ["TEST_AMQP_URL"], name="bench") as connection:
        waits = await depth(connection, road.queue)
    await asyncio.sleep(1)
    return waits == 0


async def _commit_at_a_pace(database: Database, committed: dict[str, float]) -> None:
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(round(PER_SECOND * SECONDS)):
            await asyncio.sleep(began + number / PER_SECOND - time.monotonic())
            group.create_task(_commit(database, committed))


async def _commit(database: Database, committed: dict[str, float]) -> None:
    event = an_appointment()
    async with database.transaction() as db:
        await outbox.put(db, event)
    committed[str(event.id)] = time.monotonic()


async def consume(road: Road) -> list[Row]:
    bare_rates: list[float] = []
    rates: list[float] = []
    shares = []
    for _ in range(ROUNDS):
        for role, found in (("take", bare_rates), ("apply", rates)):
            await road.empty()
            await road.fill(CONSUMED)
            async with road.process("relay"):
                await road.published()
            await road.holds(CONSUMED)
            found.append(CONSUMED / await road.seconds(role, CONSUMED))
        shares.append(rates[-1] / bare_rates[-1])
    return [
        Row(name="aio-pika alone, each acknowledged", figure=median(bare_rates), unit="/s"),
        Row(
            name="a consumer that applies each once",
            figure=median(rates),
            unit="/s",
            ratio=median(shares),
            yardstick="aio-pika that acknowledges",
        ),
    ]


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN):
        while not await condition():  # noqa: ASYNC110 -- it is another process that changes it
            await asyncio.sleep(0.1)


@asynccontextmanager
async def _declared(queue: str) -> AsyncIterator[None]:
    queues = Queues(queue)
    async with connected(os.environ["TEST_AMQP_URL"], name="bench") as connection:
        await queues.declare(connection, queue, [TYPE])
        try:
            yield
        finally:
            channel = await connection.channel()
            for each in (queues.main, queues.parked, *queues.retries):
                await channel.queue_delete(each)
            await channel.exchange_delete(queue)
