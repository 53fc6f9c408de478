"""A message that cannot be handled is parked with its reason, and holds nobody up."""

import asyncio
import os
import signal
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

import shared.messaging
from shared.db import Connection
from shared.events.envelope import Event
from shared.events.provider import AppointmentTypeDeleted, ProviderDeleted
from shared.messaging.failures import ATTEMPTS, FIRST_FAILED_AT, LAST_FAILED_AT, REASON
from shared.messaging.topology import DELIVERY_LIMIT

from .link import Link
from .stage import Stage, an_event, body_of, count_effect, running, until


class Unlucky(Exception):
    pass


async def test_a_failing_message_is_tried_after_growing_pauses_and_then_parked(
    stage: Stage,
) -> None:
    loop, times = asyncio.get_running_loop(), []

    async def fail(_: Connection, event: Event[Any]) -> None:
        times.append(loop.time())
        raise Unlucky("Ada Lovelace, ada@example.org")

    await stage.declare()
    pauses = (0.05, 0.2, 0.5)
    event, id_ = an_event(), uuid4()
    await stage.send(body_of(event, id_))
    for pause in pauses:
        stage.extra_queues.append(f"{stage.name}.retry.{round(pause * 1000)}")
    async with running(stage.consumer({ProviderDeleted: fail}, pauses=pauses).run()):
        await until(stage.is_parked)

    [message] = await stage.take(1, stage.queues.parked)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(gaps) == 3
    assert all(gap >= pause for gap, pause in zip(gaps, pauses, strict=True))
    headers = message.header.properties.headers
    assert headers[ATTEMPTS] == 4
    assert "Unlucky" in headers[REASON]
    assert "test_poison.py" in headers[REASON]
    assert "Ada" not in str(headers)
    first, last = (
        datetime.fromisoformat(headers[key]) for key in (FIRST_FAILED_AT, LAST_FAILED_AT)
    )
    assert (last - first).total_seconds() >= sum(pauses)


async def test_good_messages_flow_past_a_poisonous_one(stage: Stage) -> None:
    bad = uuid4()
    tries = 0

    async def refuse_one(connection: Connection, event: Event[Any]) -> None:
        nonlocal tries
        if event.data.id == bad:
            tries += 1
            raise Unlucky
        await count_effect(connection, event)

    await stage.declare()
    # Its first pause is longer than this test: the good ones do not wait for it.
    stage.extra_queues.append(f"{stage.name}.retry.60000")
    good = [an_event() for _ in range(10)]
    await stage.send(*map(body_of, [an_event(bad), *good]))
    async with running(stage.consumer({ProviderDeleted: refuse_one}, pauses=(60.0,)).run()):
        await until(lambda: stage.has_effects(*(event.id for event in good)), 3)

    assert 1 <= tries <= 2


async def test_a_message_that_fails_once_takes_effect_on_its_retry(stage: Stage) -> None:
    tries: list[UUID] = []

    async def fail_once(connection: Connection, event: Event[Any]) -> None:
        tries.append(event.id)
        await count_effect(connection, event)
        if len(tries) == 1:
            raise Unlucky

    await stage.declare()
    event = an_event()
    await stage.send(body_of(event))
    async with running(stage.consumer({ProviderDeleted: fail_once}).run()):
        await until(lambda: stage.has_effects(event.id))

    assert await stage.effects() == {event.id: 1}
    assert await stage.depth(stage.queues.parked) == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff\x00garbage", "json_invalid"),
        (b"[]", "model"),
        (b"{}", "missing"),
        (b'{"specversion": "1.0", "id": 7}', "id: uuid_type"),
        (body_of(an_event(), data={"id": "Ada Lovelace", "version": 1}), "data.id: uuid_parsing"),
        (body_of(an_event(), data={"version": 1}), "data.id: missing"),
        (body_of(an_event(), time="2026-11-20T08:00:00"), "time: timezone_aware"),
    ],
)
async def test_what_can_never_be_read_is_parked_at_once(
    stage: Stage, body: bytes, reason: str
) -> None:
    await stage.declare()
    good = an_event()
    await stage.send(body, body_of(good))

    async with running(stage.consumer().run()):
        await until(stage.is_parked)
        await until(lambda: stage.has_effects(good.id))

    [message] = await stage.take(1, stage.queues.parked)
    headers = message.header.properties.headers
    assert message.body == body
    assert headers[ATTEMPTS] == 1
    assert reason in headers[REASON]
    assert "Ada" not in headers[REASON]


@pytest.mark.parametrize(
    "body",
    [
        body_of(an_event(), type="provider.teleported"),
        body_of(AppointmentTypeDeleted(id=uuid4(), version=1, provider_id=uuid4())),
    ],
    ids=["unknown to this version", "known but not handled"],
)
async def test_a_type_that_a_newer_colleague_may_know_is_retried_first(
    stage: Stage, body: bytes
) -> None:
    await stage.declare()
    await stage.send(body)

    async with running(stage.consumer().run()):
        await until(stage.is_parked)

    [message] = await stage.take(1, stage.queues.parked)
    assert message.header.properties.headers[ATTEMPTS] == len(stage.queues.pauses) + 1


async def test_a_handler_that_hangs_is_a_failure(stage: Stage) -> None:
    async def hang(connection: Connection, event: Event[Any]) -> None:
        if event.data.version == 2:
            await asyncio.Event().wait()
        await count_effect(connection, event)

    await stage.declare()
    good = an_event()
    await stage.send(body_of(an_event(version=2)), body_of(good))
    consumer = stage.consumer(
        {ProviderDeleted: hang}, pauses=(), handler_timeout=2, batch_timeout=0.2
    )
    async with running(consumer.run()):
        await until(stage.is_parked)
        await until(lambda: stage.has_effects(good.id))

    [message] = await stage.take(1, stage.queues.parked)
    assert "not done within 2 s" in message.header.properties.headers[REASON]


async def test_a_handler_that_cancels_itself_is_a_failure(stage: Stage) -> None:
    async def give_up(_: Connection, event: Event[Any]) -> None:
        raise asyncio.CancelledError

    await stage.declare()
    await stage.send(body_of(an_event()), body_of(an_event()))
    async with running(stage.consumer({ProviderDeleted: give_up}, pauses=()).run()):
        await until(lambda: stage.is_parked(2))


async def test_a_message_that_ends_its_database_session_each_time_is_parked(stage: Stage) -> None:
    async def poison(connection: Connection, event: Event[Any]) -> None:
        if event.data.version == 2:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        await count_effect(connection, event)

    await stage.declare()
    good = an_event()
    await stage.send(body_of(an_event(version=2)), body_of(good))
    async with running(stage.consumer({ProviderDeleted: poison}, pauses=()).run()):
        await until(lambda: stage.has_effects(good.id))
        await until(stage.is_parked)


async def test_a_message_that_breaks_the_connection_is_parked(
    stage: Stage, broker_link: Link
) -> None:
    async def poison(connection: Connection, event: Event[Any]) -> None:
        if event.data.version == 2:
            broker_link.cut()
            raise Unlucky
        await count_effect(connection, event)

    await stage.declare()
    good = an_event()
    await stage.send(body_of(an_event(version=2)), body_of(good))
    consumer = stage.consumer({ProviderDeleted: poison}, pauses=(), amqp_url=broker_link.url)
    async with running(consumer.run()):
        await until(stage.is_parked)
        await until(lambda: stage.has_effects(good.id))


SUPERVISED_CONSUMER = """
import asyncio, os, sys
from shared.db import Database
from shared.events.provider import ProviderDeleted
from shared.messaging.consumer import Consumer
database_url, amqp_url, name = sys.argv[1:]

async def die_of_version_2(connection, event):
    if event.data.version == 2:
        os._exit(9)
    await connection.execute("INSERT INTO effects (id) VALUES ($1)", event.data.id)

async def main():
    async with Database.open(database_url, application_name="test") as database:
        await Consumer(queue=name, handlers={ProviderDeleted: die_of_version_2}, database=database,
                       amqp_url=amqp_url, exchange=name, pauses=()).run()

while (life := os.fork()):
    os.waitpid(life, 0)
asyncio.run(main())
"""


async def test_a_message_that_ends_its_process_is_put_aside_and_no_other_with_it(
    stage: Stage,
) -> None:
    await stage.declare()
    good = [an_event() for _ in range(30)]
    await stage.send(*map(body_of, [*good[:10], an_event(version=2), *good[10:]]))

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SUPERVISED_CONSUMER),
        *(stage.database_url, stage.amqp_url, stage.name),
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        await until(stage.is_parked, 30)
        await until(lambda: stage.has_effects(*(event.id for event in good)))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    [message] = await stage.take(1, stage.queues.parked)
    assert "ended 3 times" in message.header.properties.headers[REASON]
    assert await stage.effects() == {event.id: 1 for event in good}
    assert await stage.depth(stage.queues.parked) == 0


async def test_a_message_that_ends_its_process_each_time_is_parked_by_the_broker(
    stage: Stage,
) -> None:
    # reject(requeue) counts as a delivery on every version; nack(requeue) no longer does on 4.3.
    await stage.declare()
    await stage.send(body_of(an_event()))
    channel = await stage.channel()
    deliveries = 0

    async def reject_until_gone() -> bool:
        nonlocal deliveries
        message = await channel.basic_get(stage.queues.main)
        if message.delivery_tag is not None:
            deliveries += 1
            await channel.basic_reject(message.delivery_tag, requeue=True)
        return await stage.is_parked()

    for _ in range(DELIVERY_LIMIT):
        await reject_until_gone()
    await until(reject_until_gone)

    assert DELIVERY_LIMIT <= deliveries <= DELIVERY_LIMIT + 1


def test_nack_is_never_used() -> None:
    [folder] = shared.messaging.__path__
    sources = [path.read_text() for path in Path(folder).glob("*.py")]

    assert sources
    assert not any("nack(" in source.replace("``nack(requeue)``", "") for source in sources)
