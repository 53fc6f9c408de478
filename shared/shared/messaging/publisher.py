"""Publishing that ends: confirmed, given back, or BrokerUnavailable within the time limit."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from aio_pika import DeliveryMode
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq import spec

from shared.messaging.broker import (
    HEARTBEAT,
    TIMEOUT,
    BrokerUnavailable,
    NotTaken,
    broker_errors,
    close_connection,
    open_connection,
)

if TYPE_CHECKING:
    import aiormq

Prepare = Callable[[AbstractConnection], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message and where it goes; the exchange without a name leads to the queue of that key."""

    routing_key: str
    body: bytes
    message_id: str
    type: str
    content_type: str
    exchange: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)


class Publisher:
    """One connection that only publishes; opened when first needed, and again after a loss."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        heartbeat: int = HEARTBEAT,
        timeout: float = TIMEOUT,
        prepare: Prepare | None = None,
    ) -> None:
        """``prepare`` runs on each new connection before anything is published on it."""
        self._url = url
        self._name = name
        self._heartbeat = heartbeat
        self._timeout = timeout
        self._prepare = prepare
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._opening = asyncio.Lock()

    async def connect(self) -> None:
        """Open the connection before the first message needs it; raises BrokerUnavailable."""
        await self._open_channel()

    async def publish(self, message: Outgoing) -> None:
        """Returns once the broker has the message safe on disk; else raises."""
        [failure] = await self.publish_all([message])
        if failure is not None:
            raise failure

    async def publish_all(
        self, messages: Sequence[Outgoing]
    ) -> list[BrokerUnavailable | NotTaken | None]:
        """Publish in order, wait for all confirms together, and say for each how it ended."""
        try:
            channel = await self._open_channel()
        except BrokerUnavailable as unavailable:
            return [unavailable] * len(messages)
        outcomes = await asyncio.gather(*(self._send(channel, message) for message in messages))
        if any(isinstance(outcome, BrokerUnavailable) for outcome in outcomes):
            await self.disconnect()
        return outcomes

    async def _send(
        self, channel: AbstractChannel, message: Outgoing
    ) -> BrokerUnavailable | NotTaken | None:
        try:
            with broker_errors("publish"):
                confirming = cast("aiormq.Channel", await channel.get_underlay_channel())
                await confirming.basic_publish(
                    message.body,
                    exchange=message.exchange,
                    routing_key=message.routing_key,
                    properties=spec.Basic.Properties(
                        message_id=message.message_id,
                        message_type=message.type,
                        content_type=message.content_type,
                        headers=dict(message.headers),
                        delivery_mode=DeliveryMode.PERSISTENT,
                    ),
                    mandatory=True,
                    timeout=self._timeout,
                    # Not each by itself onto the wire: what is sent together is written together.
                    wait=False,
                )
        except (BrokerUnavailable, NotTaken) as failure:
            return failure
        return None

    async def _open_channel(self) -> AbstractChannel:
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                await self.disconnect()
                self._connection = await open_connection(
                    self._url, name=self._name, heartbeat=self._heartbeat, timeout=self._timeout
                )
                if self._prepare is not None:
                    await self._prepare(self._connection)
                with broker_errors("open a channel"):
                    async with asyncio.timeout(self._timeout):
                        self._channel = await self._connection.channel(on_return_raises=True)
            return self._channel

    async def disconnect(self) -> None:
        """Drop the connection; the next publish opens another."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            await close_connection(connection)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.disconnect()
