"""One appointment's events in order, over several queues: ``python -m bench.scaling.ordered``.

A RabbitMQ of its own with the plugin of consistent hashing, which belongs to every RabbitMQ. Events
go through the topic exchange into a hashing one, by the header `subject`, and from there into
queues of which each has one active consumer.
"""

import asyncio
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage

from bench.stage import a_free_port
from local.prepare import find_rabbitmq
from local.rabbitmq import PrivateRabbitMQ, answers
from local.waiting import wait_for

APPOINTMENTS, VERSIONS = 400, 20
HANDLING = 0.002
"""Seconds; about what a transaction of one message takes."""
TOPIC = "medic.events"
KEY = "booking.confirmed"
PREFETCH = 150


@dataclass
class Seen:
    """What consumers have handled, in the order in which they did."""

    versions: dict[str, list[int]] = field(default_factory=dict)
    by_queue: dict[str, set[str]] = field(default_factory=dict)
    count: int = 0

    def note(self, queue: str, subject: str, version: int) -> None:
        self.versions.setdefault(subject, []).append(version)
        self.by_queue.setdefault(queue, set()).add(subject)
        self.count += 1

    @property
    def out_of_order(self) -> int:
        return sum(versions != sorted(versions) for versions in self.versions.values())

    @property
    def moved(self) -> int:
        """Appointments that more than one queue has had."""
        homes: dict[str, int] = {}
        for subjects in self.by_queue.values():
            for subject in subjects:
                homes[subject] = homes.get(subject, 0) + 1
        return sum(number > 1 for number in homes.values())


@asynccontextmanager
async def a_broker() -> AsyncIterator[str]:
    tools = find_rabbitmq()
    assert tools is not None, "no RabbitMQ to be found"
    folder = Path(tempfile.mkdtemp())
    broker = PrivateRabbitMQ(
        tools, folder, a_free_port(), a_free_port(), a_free_port(), secrets.token_hex(8)
    )
    broker.create()
    (folder / "enabled_plugins").write_text("[rabbitmq_consistent_hash_exchange].\n")
    processes = [
        await asyncio.create_subprocess_exec(
            *program.command,
            env=os.environ | dict(program.environment),
            cwd=folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        for program in broker.programs()
    ]
    try:
        await wait_for(lambda: answers(broker.url), "the broker", limit=120)
        yield broker.url
    finally:
        for process in reversed(processes):
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Shards:
    """The exchanges, and queues as many as were added."""

    channel: AbstractChannel
    name: str
    seen: Seen = field(default_factory=Seen)
    queues: list[str] = field(default_factory=list)

    async def declare(self, number: int) -> "Shards":
        await self.channel.declare_exchange(TOPIC, "topic", durable=True)
        hashing = await self._hashing()
        await hashing.bind(TOPIC, "booking.*")
        for _ in range(number):
            await self.add()
        return self

    async def _hashing(self) -> AbstractExchange:
        return await self.channel.declare_exchange(
            self.name, "x-consistent-hash", durable=True, arguments={"hash-header": "subject"}
        )

    async def add(self) -> str:
        name = f"{self.name}.{len(self.queues)}"
        queue = await self.channel.declare_queue(
            name,
            durable=True,
            arguments={"x-queue-type": "quorum", "x-single-active-consumer": True},
        )
        await queue.bind(self.name, "1")  # the weight
        self.queues.append(name)
        return name

    async def consume(self, connection: aio_pika.abc.AbstractConnection, queue: str) -> None:
        """One message after the other, as a consumer that keeps the order has to."""
        channel = await connection.channel()
        await channel.set_qos(PREFETCH)
        waiting: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()

        async def handle() -> None:
            while True:
                message = await waiting.get()
                await asyncio.sleep(HANDLING)
                self.seen.note(queue, str(message.headers["subject"]), int(str(message.type)))
                await message.ack()

        self._handlers.append(asyncio.create_task(handle()))
        await (await channel.get_queue(queue)).consume(waiting.put)

    _handlers: list[asyncio.Task[None]] = field(default_factory=list)

    async def close(self) -> None:
        for handler in self._handlers:
            handler.cancel()
        for queue in self.queues:
            await self.channel.queue_delete(queue)
        await self.channel.exchange_delete(self.name)


async def publish(topic: AbstractExchange, versions: Sequence[int]) -> None:
    """These versions of every appointment; the next only after the broker has all of the last."""
    for version in versions:
        await asyncio.gather(
            *(
                topic.publish(
                    aio_pika.Message(
                        b"x" * 1100,
                        headers={"subject": f"appointment-{number}"},
                        type=str(version),
                        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                    ),
                    KEY,
                )
                for number in range(APPOINTMENTS)
            )
        )


async def drained(shards: Shards, number: int) -> None:
    async def all_seen() -> bool:
        return shards.seen.count >= number

    await wait_for(all_seen, f"{number} messages", limit=120)


@asynccontextmanager
async def some_shards(url: str, name: str, number: int) -> AsyncIterator[Shards]:
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(await aio_pika.connect(url)) for _ in range(3)
        ]
        shards = await Shards(await connections[0].channel(), name).declare(number)
        for queue in shards.queues:
            for connection in connections[1:]:  # one of both is active, the other stands by
                await shards.consume(connection, queue)
        try:
            yield shards
        finally:
            await shards.close()


async def throughput(url: str, number: int) -> None:
    async with some_shards(url, f"shards-of-{number}", number) as shards:
        topic = await shards.channel.get_exchange(TOPIC)
        began = perf_counter()
        await publish(topic, range(VERSIONS))
        await drained(shards, APPOINTMENTS * VERSIONS)
        rate = shards.seen.count / (perf_counter() - began)
        shares = sorted(len(subjects) for subjects in shards.seen.by_queue.values())
        print(f"{number} queues: {rate:,.0f} messages/s, appointments per queue {shares}, ", end="")
        print(f"{shards.seen.out_of_order} out of order, {shards.seen.moved} in two queues")


async def seam(url: str, *, waits: bool) -> None:
    """A fifth queue while events come; with the relay stopped until all are handled, or without."""
    async with some_shards(url, f"seam-{waits}", 4) as shards:
        topic = await shards.channel.get_exchange(TOPIC)
        half = VERSIONS // 2
        await publish(topic, range(half))
        if waits:
            await drained(shards, APPOINTMENTS * half)
        connection = await aio_pika.connect(url)
        await shards.consume(connection, await shards.add())
        await publish(topic, range(half, VERSIONS))
        await drained(shards, APPOINTMENTS * VERSIONS)
        await connection.close()
        how = "all handled before" if waits else "while messages wait"
        print(f"a fifth queue, {how}: {shards.seen.moved} of {APPOINTMENTS} appointments ", end="")
        print(f"change their queue, {shards.seen.out_of_order} are handled out of order")


async def main() -> None:
    logging.disable(logging.CRITICAL)  # of attempts to reach what is starting
    async with a_broker() as url:
        for number in (1, 4):
            await throughput(url, number)
        for waits in (False, True):
            await seam(url, waits=waits)


if __name__ == "__main__":
    asyncio.run(main())
