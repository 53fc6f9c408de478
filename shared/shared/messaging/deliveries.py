"""What the broker has handed to one consumer and what that consumer has not yet taken."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiormq.abc import AbstractChannel, DeliveredMessage

from shared.messaging.broker import BrokerUnavailable, broker_errors
from shared.messaging.failures import Failures


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message in hand; the broker gives it to somebody else unless it is acknowledged."""

    tag: int
    body: bytes
    message_id: str
    type: str
    content_type: str
    headers: Mapping[str, Any]
    redelivered: bool

    @classmethod
    def of(cls, message: DeliveredMessage) -> "Delivery":
        properties = message.header.properties
        return cls(
            tag=message.delivery_tag or 0,
            body=message.body,
            message_id=properties.message_id or "",
            type=properties.message_type or "",
            content_type=properties.content_type or "",
            headers=properties.headers or {},
            redelivered=bool(message.redelivered),
        )

    @property
    def failures(self) -> Failures | None:
        return Failures.of(self.headers)

    @property
    def unfinished(self) -> int:
        """How often a connection or a process has ended with this message in hand."""
        count = self.headers.get("x-delivery-count", 0)
        return count if isinstance(count, int) else 0

    @property
    def is_fresh(self) -> bool:
        """Nothing speaks against handling it together with others."""
        return not self.redelivered and self.failures is None


class Deliveries:
    """Filled by the connection's reader, emptied by the consumer, until the broker is lost."""

    def __init__(self) -> None:
        self._waiting: deque[Delivery] = deque()
        self._changed = asyncio.Event()
        self._loss: str | None = None
        self._stopped = False

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    async def add(self, message: DeliveredMessage) -> None:
        self._waiting.append(Delivery.of(message))
        self._changed.set()

    def lose(self, why: str) -> None:
        """Nothing more will come, and nothing in hand can be acknowledged any more."""
        self._loss = self._loss or why
        self._changed.set()

    def ensure_alive(self) -> None:
        """Raises BrokerUnavailable after a loss."""
        if self._loss is not None:
            raise BrokerUnavailable(self._loss)

    def stop(self) -> None:
        """From now on ``take`` waits for nothing."""
        self._stopped = True
        self._changed.set()

    async def take(self, most: int, *, patience: float) -> list[Delivery]:
        """The next message, with the fresh ones behind it; none when none came in time."""
        self.ensure_alive()
        if not self._waiting and not self._stopped:
            self._changed.clear()
            try:
                async with asyncio.timeout(patience):
                    await self._changed.wait()
            except TimeoutError:
                return []
            self.ensure_alive()
        taken: list[Delivery] = []
        while self._waiting and len(taken) < most:
            if taken and not (taken[0].is_fresh and self._waiting[0].is_fresh):
                break
            taken.append(self._waiting.popleft())
        return taken


async def acknowledge(
    channel: AbstractChannel, delivery: Delivery, *, everything_before: bool = False
) -> None:
    """The broker may forget it, or also all that it has handed over earlier."""
    with broker_errors("acknowledge"):
        await channel.basic_ack(delivery.tag, multiple=everything_before)
