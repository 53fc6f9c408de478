"""An exchange and queues that no other test shares, and the ways to look at them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import orjson
from aio_pika.abc import AbstractConnection
from aiormq import spec
from aiormq.abc import AbstractChannel, DeliveredMessage

from shared.db import Connection, Database
from shared.events.envelope import Event, EventData
from shared.events.provider import ProviderDeleted
from shared.messaging import Handlers, outbox
from shared.messaging.broker import BrokerUnavailable, broker_errors, connected
from shared.messaging.consumer import Consumer
from shared.messaging.parking import depth
from shared.messaging.relay import Relay
from shared.messaging.topology import Queues

SOON = 30.0
PAUSES = (0.02, 0.05)
TYPE = ProviderDeleted.type


async def until(condition: Callable[[], Any], limit: float = SOON) -> Any:
    """The condition's first truthy value; fails when there is none in time."""
    deadline = monotonic() + limit
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        assert monotonic() < deadline, "the condition has not come true"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
        for task in tasks:
            assert not task.done(), task.exception()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def an_event(id_: UUID | None = None, version: int = 1) -> ProviderDeleted:
    return ProviderDeleted(id=id_ or uuid4(), version=version)


async def count_effect(connection: Connection, event: Event[Any]) -> None:
    """Not idempotent on purpose: a second effect shows as 2."""
    await connection.execute(
        "INSERT INTO effects (id) VALUES ($1) "
        "ON CONFLICT (id) DO UPDATE SET value = effects.value + 1",
        event.data.id,
    )


class Stage:
    """One producer and one consumer with names of their own on the shared broker."""

    def __init__(self, amqp_url: str, database: Database, database_url: str) -> None:
        self.amqp_url = amqp_url
        self.database = database
        self.database_url = database_url
        self.name = f"test-{uuid4().hex[:12]}"
        self.queues = Queues(self.name, PAUSES)
        self.connection: AbstractConnection
        self.extra_queues: list[str] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Stage"]:
        async with connected(self.amqp_url, name=self.name) as self.connection:
            try:
                yield self
            finally:
                channel = await self.channel()
                for queue in (
                    self.queues.main,
                    self.queues.parked,
                    *self.queues.retries,
                    *self.extra_queues,
                ):
                    await channel.queue_delete(queue)
                await channel.exchange_delete(self.name)

    async def channel(self) -> AbstractChannel:
        opened = await self.connection.channel(publisher_confirms=True)
        return await opened.get_underlay_channel()

    async def declare(self, *types: str) -> None:
        await self.queues.declare(self.connection, self.name, types or (TYPE,))

    def relay(self, **options: Any) -> Relay:
        options = {
            "service": "availability",
            "database_url": self.database_url,
            "amqp_url": self.amqp_url,
            "exchange": self.name,
            "listeners": {self.name: [TYPE]},
        } | options
        return Relay(**options)

    def consumer(self, handlers: Handlers | None = None, **options: Any) -> Consumer:
        options = {
            "queue": self.name,
            "handlers": handlers or {ProviderDeleted: count_effect},
            "database": self.database,
            "amqp_url": self.amqp_url,
            "exchange": self.name,
            "pauses": PAUSES,
        } | options
        return Consumer(**options)

    async def commit(self, *events: EventData) -> None:
        async with self.database.transaction() as connection:
            await outbox.put(connection, *events)

    async def send(self, *bodies: bytes, queue: str | None = None) -> None:
        """Straight into a queue, past every outbox."""
        channel = await self.channel()
        for body in bodies:
            await channel.basic_publish(
                body,
                routing_key=queue or self.queues.main,
                properties=spec.Basic.Properties(
                    delivery_mode=2, message_id=str(uuid4()), message_type=TYPE
                ),
            )

    async def depth(self, queue: str) -> int:
        return await depth(self.connection, queue) or 0

    async def is_parked(self, count: int = 1) -> bool:
        return await self.depth(self.queues.parked) >= count

    async def take(self, count: int, queue: str | None = None) -> list[DeliveredMessage]:
        """So many messages out of the queue, in order, waiting for each."""
        taken: list[DeliveredMessage] = []

        async def get() -> bool:
            # The broker ends a connection that asks too soon for a queue that is being made.
            with suppress(BrokerUnavailable):
                async with connected(self.amqp_url, name=self.name) as connection:
                    with broker_errors("take"):
                        await self._take(connection, queue or self.queues.main, count, taken)
            return len(taken) == count

        await until(get)
        return taken

    async def _take(
        self, connection: AbstractConnection, queue: str, count: int, taken: list[DeliveredMessage]
    ) -> None:
        opened = await connection.channel()
        channel = await opened.get_underlay_channel()

        async def get() -> bool:
            while len(taken) < count:
                message = await channel.basic_get(queue, no_ack=True)
                if message.delivery_tag is None:
                    return False
                taken.append(message)
            return True

        await until(get)

    async def exists(self, queue: str) -> bool:
        return await depth(self.connection, queue) is not None

    async def unpublished(self) -> int:
        async with self.database.reading() as connection:
            return await connection.fetchval(
                "SELECT count(*) FROM outbox WHERE published_at IS NULL"
            )

    async def all_published(self) -> bool:
        return await self.unpublished() == 0

    async def effects(self) -> dict[UUID, int]:
        """How often each subject's event took effect."""
        async with self.database.reading() as connection:
            rows = await connection.fetch("SELECT id, value FROM effects")
        return {row["id"]: row["value"] for row in rows}

    async def has_effects(self, *subjects: UUID) -> bool:
        return set(subjects) <= set(await self.effects())


def subjects_of(messages: Sequence[DeliveredMessage]) -> list[UUID]:
    return [UUID(orjson.loads(message.body)["subject"]) for message in messages]


def body_of(event: EventData, id_: UUID | None = None, **changes: Any) -> bytes:
    """A message for the event, without the detour through an outbox."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": id_ or uuid4(),
            "source": event.source,
            "type": event.type,
            "subject": event.subject,
            "time": "2026-11-20T08:00:00Z",
            "sequence": event.sequence,
            "data": orjson.Fragment(event.model_dump_json(by_alias=True)),
        }
        | changes
    )
