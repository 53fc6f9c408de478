"""Parked messages: look at them, send them again, or throw one away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from aio_pika.abc import AbstractConnection
from aiormq import spec
from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelNotFoundEntity

from shared.messaging.broker import TIMEOUT, BrokerUnavailable, broker_errors
from shared.messaging.deliveries import Delivery
from shared.messaging.publisher import Outgoing, Publisher
from shared.messaging.topology import Queues

_LOOKS, _LOOK_PAUSE = 100, 0.02
_KILLED = "delivered again and again: each time the process ended with this message in hand"


@dataclass(frozen=True)
class Parked:
    """One parked message as an operator sees it."""

    delivery: Delivery

    @property
    def id(self) -> str:
        return self.delivery.message_id

    @property
    def subject(self) -> str:
        return str(self.envelope.get("subject", ""))

    @property
    def envelope(self) -> dict[str, Any]:
        """Empty when the body is not even JSON."""
        try:
            envelope = orjson.loads(self.delivery.body)
        except orjson.JSONDecodeError:
            return {}
        return envelope if isinstance(envelope, dict) else {}

    @property
    def reason(self) -> str:
        deaths = self.delivery.headers.get("x-death")
        if isinstance(deaths, list) and any(
            isinstance(death, dict) and death.get("reason") == "delivery_limit" for death in deaths
        ):
            return _KILLED
        return self.delivery.failures.reason if self.delivery.failures else ""


async def depth(connection: AbstractConnection, queue: str) -> int | None:
    """How many messages wait in the queue; None when there is no such queue."""
    try:
        async with _channel(connection) as channel:
            return (await _declared(channel, queue)).message_count or 0
    except BrokerUnavailable as error:
        if isinstance(error.__cause__, ChannelNotFoundEntity):
            return None
        raise


async def parked_messages(
    connection: AbstractConnection, queues: Queues, *, most: int = 100
) -> list[Parked]:
    """The oldest parked messages; they stay where they are."""
    seen: list[Parked] = []

    async def look(parked: Parked) -> bool:
        seen.append(parked)
        return False

    await _walk(connection, queues, look, most)
    return seen


async def replay_parked(
    connection: AbstractConnection,
    publisher: Publisher,
    queues: Queues,
    ids: Collection[str] | None = None,
) -> int:
    """Send parked messages (those ids, or all) to their queue again, as if they had never failed.

    Each is confirmed there before it is removed here.
    """

    async def replay(parked: Parked) -> bool:
        if ids is not None and parked.id not in ids:
            return False
        delivery = parked.delivery
        await publisher.publish(
            Outgoing(
                routing_key=queues.main,
                body=delivery.body,
                message_id=delivery.message_id,
                type=delivery.type,
                content_type=delivery.content_type,
            )
        )
        return True

    return await _walk(connection, queues, replay)


async def discard_parked(
    connection: AbstractConnection, queues: Queues, ids: Collection[str]
) -> int:
    """Throw those parked messages away for ever; returns how many there were."""
    return await discard_parked_if(connection, queues, lambda parked: parked.id in ids)


async def discard_parked_if(
    connection: AbstractConnection, queues: Queues, unwanted: Callable[[Parked], bool]
) -> int:
    """Likewise all those of which ``unwanted`` is true."""

    async def discard(parked: Parked) -> bool:
        return unwanted(parked)

    return await _walk(connection, queues, discard)


async def _walk(
    connection: AbstractConnection,
    queues: Queues,
    visit: Callable[[Parked], Awaitable[bool]],
    most: int | None = None,
) -> int:
    """Visit what is parked now and remove what ``visit`` says; the rest is back at the end."""
    kept = removed = 0
    async with _channel(connection) as channel:
        count = (await _declared(channel, queues.parked)).message_count or 0
        for _ in range(count if most is None else min(count, most)):
            with broker_errors("read a parked message"):
                message = await channel.basic_get(queues.parked, timeout=TIMEOUT)
            if isinstance(message.delivery, spec.Basic.GetEmpty):
                break
            delivery = Delivery.of(message)
            if await visit(Parked(delivery)):
                with broker_errors("remove a parked message"):
                    await channel.basic_ack(delivery.tag)
                removed += 1
            else:
                kept += 1
    await _wait_for_return(connection, queues.parked, kept)
    return removed


async def _wait_for_return(connection: AbstractConnection, queue: str, kept: int) -> None:
    """The broker gives back what a closed channel had in hand a moment after it is closed."""
    for _ in range(_LOOKS):
        if (await depth(connection, queue) or 0) >= kept:
            return
        await asyncio.sleep(_LOOK_PAUSE)


async def _declared(channel: AbstractChannel, queue: str) -> spec.Queue.DeclareOk:
    with broker_errors(f"look at {queue}"):
        return await channel.queue_declare(queue, passive=True, timeout=TIMEOUT)


@asynccontextmanager
async def _channel(connection: AbstractConnection) -> AsyncIterator[AbstractChannel]:
    with broker_errors("open a channel"):
        opened = await connection.channel(publisher_confirms=False)
        channel = await opened.get_underlay_channel()
    try:
        yield channel
    finally:
        with broker_errors("close a channel"):
            await opened.close()
