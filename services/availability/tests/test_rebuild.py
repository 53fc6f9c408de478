"""The read models come back from nothing, and are what they were."""

import asyncio
import random
import sys
from asyncio import subprocess
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import pytest

from availability.consumers import HANDLERS
from availability.rebuild import PRODUCERS, rebuild
from shared.db import Database
from shared.events.envelope import EventData
from shared.http import AsyncClient
from shared.messaging import outbox
from shared.messaging.broker import connected
from shared.messaging.consumer import Consumer
from shared.messaging.publisher import Publisher
from shared.messaging.topology import Queues

from .builders import MINUTE, Practice, a_booking, a_practice, in_days, later, receive
from .test_calendars import broken, busy, deleted
from .test_calendars import connected as is_connected

MODELS = {
    "appointments": "id",
    "claims": "appointment_id, resource_id",
    "external_busy_times": "id",
    "external_busy_spans": "connection_id, starts_at",
    "calendar_sources": "connection_id",
}
SOON = 20.0


async def models(database: Database) -> dict[str, list[Any]]:
    async with database.reading() as db:
        return {
            name: [tuple(row) for row in await db.fetch(f"SELECT * FROM {name} ORDER BY {order}")]
            for name, order in MODELS.items()
        }


async def conflicts(database: Database) -> int:
    """How often appointments in the way of something have been told."""
    async with database.reading() as db:
        count: int = await db.fetchval(
            "SELECT count(*) FROM outbox WHERE type = 'availability.conflict_found'"
        )
    return count


def a_history(practice: Practice) -> list[EventData]:
    """Appointments in all states, and calendars that changed, broke and went."""
    facts: list[EventData] = []
    for number in range(40):
        start = in_days(2 + number // 6) + number % 6 * 30 * MINUTE
        held = a_booking(practice, start, "held", hold_expires_at=in_days(40))
        facts.append(held)
        for status in ("confirmed", "cancelled")[: number % 3]:
            facts.append(later(facts[-1], practice, status))  # type: ignore[arg-type]
    first, second, third = UUID(int=1), UUID(int=2), UUID(int=3)
    ten = in_days(3, 10)
    for number, connection in enumerate((first, second, third)):
        facts += [
            is_connected(practice, connection, 1),
            busy(practice, connection, 2, ("a", ten, ten + 30 * MINUTE), ("b", ten, in_days(5))),
            busy(practice, connection, 3, ("b", ten + number * MINUTE, in_days(5))),
        ]
    facts += [broken(practice, second, 4), deleted(practice, third, 4)]
    return facts


async def publish(database: Database, facts: list[EventData]) -> None:
    """As the producers' relays have done; here their outboxes are this one."""
    async with database.transaction() as db:
        await outbox.put(db, *facts)
        await db.execute("UPDATE outbox SET published_at = now() WHERE published_at IS NULL")


@pytest.fixture
async def queue(amqp_url: str) -> AsyncIterator[Queues]:
    queues = Queues(f"test-{uuid4().hex[:12]}", (0.05,))
    async with connected(amqp_url, name=queues.main) as connection:
        yield queues
        channel = await connection.channel()
        for name in (queues.main, queues.parked, *queues.retries):
            await channel.queue_delete(name)
        await channel.exchange_delete(queues.main)


async def rebuilt(database: Database, amqp_url: str, queue: Queues, count: int) -> None:
    """Rebuild, and wait until the consumer has had everything."""
    consumer = Consumer(
        queue=queue.main,
        handlers=HANDLERS,
        database=database,
        amqp_url=amqp_url,
        exchange=queue.main,
        pauses=queue.pauses,
    )
    running = asyncio.create_task(consumer.run())
    histories = dict.fromkeys(PRODUCERS, database)
    try:
        async with connected(amqp_url, name=queue.main) as connection:
            await queue.declare(connection, queue.main, [event.type for event in HANDLERS])
        async with Publisher(amqp_url, name=queue.main) as publisher:
            assert await rebuild(database, histories, publisher, queue=queue.main) == count
        deadline = monotonic() + SOON
        async with database.reading() as db:
            while await db.fetchval("SELECT count(*) FROM inbox") < count:
                assert monotonic() < deadline, "the events have not arrived"
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_was_destroyed_is_rebuilt_as_it_was(
    api: AsyncClient, database: Database, amqp_url: str, queue: Queues
) -> None:
    practice = await a_practice(database)
    facts = a_history(practice)
    await publish(database, facts)
    await receive(database, *facts)
    path = f"{practice.path()}&from={in_days(1):%Y-%m-%d}&to={in_days(12):%Y-%m-%d}"
    before = await models(database)
    conflicts_before = await conflicts(database)
    assert conflicts_before
    list_before = (await api.get(path)).json()
    async with database.transaction() as db:
        await db.execute("DELETE FROM claims; DELETE FROM external_busy_times")
        await db.execute("UPDATE appointments SET version = 99, status = 'no_show'")
        await db.execute("INSERT INTO external_busy_spans VALUES ($1, now(), 9)", uuid4())
        await db.execute(
            "INSERT INTO external_busy_times SELECT $1, $2, $1, 'x', 'x', now(), "
            "now() + interval '9 days', now()",
            uuid4(),
            practice.provider_id,
        )

    await rebuilt(database, amqp_url, queue, len(facts))

    assert await models(database) == before
    assert await conflicts(database) == conflicts_before
    assert (await api.get(path)).json() == list_before
    assert all(before.values())


async def test_a_history_in_any_order_and_twice_makes_the_same_model(database: Database) -> None:
    practice = await a_practice(database)
    facts = a_history(practice)
    await receive(database, *facts)
    expected = await models(database)
    shuffled = [*facts, *facts]
    random.Random(7).shuffle(shuffled)
    async with database.transaction() as db:
        for name in reversed(MODELS):
            if name != "claims":
                await db.execute(f"DELETE FROM {name}")

    await receive(database, *shuffled)

    assert await models(database) == expected


async def test_while_it_is_rebuilt_nobody_is_told_old_answers(
    api: AsyncClient, database: Database, amqp_url: str, queue: Queues
) -> None:
    practice = await a_practice(database)
    booked = a_booking(practice, in_days(3))
    await receive(database, booked)
    path = f"{practice.path()}&date={in_days(3):%Y-%m-%d}"
    first = await api.get(path)

    await rebuilt(database, amqp_url, queue, 0)
    emptied = await api.get(path)

    assert first.json()["timeslots"][0]["status"] == "booked"
    assert emptied.json()["timeslots"][0]["status"] == "available"


async def test_the_command_names_what_it_lacks() -> None:
    process = await subprocess.create_subprocess_exec(
        *(sys.executable, "-m", "availability.rebuild"),
        env={"AMQP_URL": "amqp://nobody@127.0.0.1:1/"},
        stderr=subprocess.PIPE,
    )
    _, said = await process.communicate()

    assert process.returncode == 1
    assert said == b"AVAILABILITY_DATABASE_URL is not set\n"
