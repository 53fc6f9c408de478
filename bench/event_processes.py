"""The processes between which ``events.py`` has events travel, and those they are compared with.

``python -m bench.event_processes ROLE``: each prints what it has found when it is done.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aio_pika
import orjson
import uvloop
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from bench.notifications import an_appointment, an_event
from shared.db import Connection, Database
from shared.events.booking import BookingConfirmed
from shared.events.envelope import Event
from shared.messaging.consumer import Consumer
from shared.messaging.relay import Relay
from shared.messaging.wire import CONTENT_TYPE, encode
from shared.observability import configure_logging

IN_FLIGHT = 200
PREFETCH = 150


async def relay() -> None:
    queue = _queue()
    await Relay(
        service="bench",
        database_url=os.environ["SOURCE"],
        amqp_url=os.environ["TEST_AMQP_URL"],
        exchange=queue,
        listeners={queue: [BookingConfirmed.type]},
    ).run()


async def publish() -> None:
    """What aio-pika makes of it alone: persistent, mandatory, confirmed."""
    body, left = _a_message(), iter(range(_count()))
    async with _channel() as channel:
        exchange = await channel.get_exchange(_queue(), ensure=False)

        async def one_after_the_other() -> None:
            for number in left:
                message = aio_pika.Message(
                    body,
                    message_id=str(number),
                    type=BookingConfirmed.type,
                    content_type=CONTENT_TYPE,
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                )
                await exchange.publish(message, BookingConfirmed.type, mandatory=True)

        began = time.perf_counter()
        await asyncio.gather(*(one_after_the_other() for _ in range(IN_FLIGHT)))
        _tell(time.perf_counter() - began)


async def take() -> None:
    """What aio-pika makes of a queue alone: every message acknowledged."""
    count, done = _count(), asyncio.Event()
    async with _channel() as channel:
        await channel.set_qos(prefetch_count=PREFETCH)
        queue = await channel.get_queue(_queue(), ensure=False)

        async def acknowledge(message: AbstractIncomingMessage) -> None:
            nonlocal count
            await message.ack()
            count -= 1
            if not count:
                done.set()

        began = time.perf_counter()
        await queue.consume(acknowledge)
        await done.wait()
        _tell(time.perf_counter() - began)


class _Noting(Database):
    """Knows when the transaction of each handled event was over."""

    applied: dict[str, float]
    in_hand: list[str]
    after: Callable[[], None]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        self.in_hand = []
        async with super().transaction() as db:
            yield db
        now = time.monotonic()
        self.applied |= dict.fromkeys(self.in_hand, now)
        self.after()


@asynccontextmanager
async def _consuming(
    key: Callable[[Event[BookingConfirmed]], Any],
) -> AsyncIterator[tuple[_Noting, Consumer]]:
    queue = _queue()
    async with _Noting.open(os.environ["SINK"], application_name="bench") as database:
        database.applied, database.after = {}, lambda: None

        async def note(_: Connection, event: Event[BookingConfirmed]) -> None:
            database.in_hand.append(str(key(event)))

        yield (
            database,
            Consumer(
                queue=queue,
                handlers={BookingConfirmed: note},
                database=database,
                amqp_url=os.environ["TEST_AMQP_URL"],
                exchange=queue,
            ),
        )


async def consume() -> None:
    """Until it is ended; then tells when the events of each appointment were applied."""
    async with _consuming(lambda event: event.data.id) as (database, consumer):
        with suppress(asyncio.CancelledError):
            await consumer.run()
        _tell(database.applied)


async def apply() -> None:
    """So many events, with inbox and commit; the time from the start of the consumer."""
    count, done = _count(), asyncio.Event()
    async with _consuming(lambda event: event.id) as (database, consumer):

        def look() -> None:
            if len(database.applied) >= count:
                done.set()

        database.after = look
        began = time.perf_counter()
        running = asyncio.create_task(consumer.run())
        await done.wait()
        _tell(time.perf_counter() - began)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def _channel() -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(os.environ["TEST_AMQP_URL"]) as connection:
        yield await connection.channel(publisher_confirms=True, on_return_raises=True)


def _a_message() -> bytes:
    event = an_event(an_appointment())
    data = event.data.model_dump_json(by_alias=True)
    names = {"id": event.id, "type": event.type, "subject": event.subject}
    row = {"sequence": 2, "occurred_at": event.time, "traceparent": None, "data": data}
    return encode(names | row, "/bench")


def _queue() -> str:
    return os.environ["QUEUE"]


def _count() -> int:
    return int(os.environ["COUNT"])


def _tell(found: object) -> None:
    print(orjson.dumps(found).decode())


ROLES: dict[str, Callable[[], Awaitable[None]]] = {
    each.__name__: each for each in (relay, publish, take, consume, apply)
}


async def main() -> None:
    configure_logging("bench", "WARNING")
    task = asyncio.ensure_future(ROLES[sys.argv[1]]())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    uvloop.run(main())
