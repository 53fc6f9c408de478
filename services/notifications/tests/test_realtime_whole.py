"""Realtime as processes: the broker and its outages in front, the server and its end behind."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from notifications.app import make_app
from notifications.realtime.consumers import HANDLERS
from notifications.settings import NotificationsSettings
from shared.db import Database
from shared.events.envelope import EventData, json_ready
from shared.messaging.broker import connected
from shared.messaging.consumer import Consumer
from shared.messaging.publisher import Outgoing, Publisher
from shared.messaging.topology import LISTENERS, Queues
from shared.messaging.wire import CONTENT_TYPE
from shared.testing.tokens import MakeToken

from .builders import PATIENT, an_appointment
from .conftest import Running
from .streams import listening, served
from .wire import Wire

MINE = f"user.{PATIENT}.bookings"


@pytest.fixture
def headers(make_token: MakeToken) -> dict[str, str]:
    return {"Authorization": f"Bearer {make_token('patient', PATIENT)}"}


@pytest.fixture
async def exchange(amqp_url: str) -> AsyncIterator[str]:
    """The name of an exchange and of the queue behind it, which no other test shares."""
    name = f"test-{uuid4().hex}"
    queues = Queues(name)
    async with connected(amqp_url, name="test") as connection:
        await queues.declare(connection, name, [event.type for event in HANDLERS])
        yield name
        channel = await connection.channel()
        for queue in (queues.main, queues.parked, *queues.retries):
            await channel.queue_delete(queue)
        await channel.exchange_delete(name)


def outgoing(exchange: str, data: EventData) -> Outgoing:
    id_ = uuid4()
    envelope = {
        "specversion": "1.0",
        "id": id_,
        "source": data.source,
        "type": data.type,
        "subject": data.subject,
        "sequence": data.sequence,
        "time": datetime.now(UTC),
        "data": json_ready(data),
    }
    return Outgoing(
        exchange=exchange,
        routing_key=data.type,
        body=orjson.dumps(envelope),
        message_id=str(id_),
        type=data.type,
        content_type=CONTENT_TYPE,
    )


def test_the_queue_gets_what_there_are_handlers_for() -> None:
    assert {event.type for event in HANDLERS} == set(LISTENERS["notifications-realtime"])


async def test_no_message_is_lost_when_the_broker_goes_and_comes_back(
    exchange: str,
    amqp_url: str,
    database: Database,
    settings_values: dict[str, Any],
    headers: dict[str, str],
    running: Running,
) -> None:
    app = make_app(NotificationsSettings(**settings_values))
    async with (
        Wire(amqp_url) as wire,
        served(app) as url,
        listening(url, headers=headers, query={"channels": MINE}) as stream,
        Publisher(amqp_url, name="test") as publisher,
    ):
        await stream.next()
        consumer = Consumer(
            queue=exchange,
            handlers=HANDLERS,
            database=database,
            amqp_url=wire.url,
            exchange=exchange,
        )
        async with running(consumer.run()):
            await publisher.publish(outgoing(exchange, an_appointment(version=1)))
            first = await stream.next()
            wire.unplug()
            for version in range(2, 12):
                await publisher.publish(outgoing(exchange, an_appointment(version=version)))
            wire.plug_in()

            rest = await stream.events(10)

    assert first.data["version"] == 1
    assert sorted(each.data["version"] for each in rest) == list(range(2, 12))
    ids = [int(each.id) for each in (first, *rest)]
    assert ids == sorted(set(ids))


async def test_a_server_that_is_told_to_stop_says_good_bye_first(
    settings_values: dict[str, Any], headers: dict[str, str]
) -> None:
    environment = {name.upper(): str(value) for name, value in settings_values.items()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "--factory", "notifications.app:make_app"),
        *("--port", "0", "--no-access-log", "--timeout-graceful-shutdown", "60"),
        env=os.environ | environment,
        cwd=Path(__file__).parents[1],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        url = await _address(process)
        async with listening(url, headers=headers, query={"channels": MINE}) as stream:
            await stream.next()

            process.send_signal(signal.SIGTERM)

            assert await stream.next() is None
        async with asyncio.timeout(30):  # sooner than the server's own patience
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode in (0, -signal.SIGTERM)


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while line := (await process.stdout.readline()).decode():
            if "running on" in line:
                return "http" + line.split("http", 1)[1].split()[0].strip('",')
    raise AssertionError("the server has not started")
