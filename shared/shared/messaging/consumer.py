"""The consumer: each message takes effect once, or is parked with the reason why it could not.

Effect and inbox row are one transaction, and the acknowledgement follows the commit. A failure
burns an attempt and lets the messages behind it pass; an outage of database or broker burns none.
``nack(requeue)`` is never used: RabbitMQ 4.3 no longer counts it, and a poison message would circle
for ever.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from aio_pika.abc import AbstractConnection
from aiormq.abc import AbstractChannel

from shared.db import Database
from shared.events.envelope import Event
from shared.events.registry import EVENT_TYPES
from shared.messaging import metrics
from shared.messaging.aside import Aside
from shared.messaging.broker import (
    HEARTBEAT,
    BrokerUnavailable,
    NotTaken,
    broker_errors,
    connected,
)
from shared.messaging.deliveries import Deliveries, Delivery, acknowledge
from shared.messaging.handlers import Handlers, InHand
from shared.messaging.handling import GaveBack, Handling, HandlingFailed
from shared.messaging.probe import PROBE_PAUSE, PROBE_TIMEOUT, Probe
from shared.messaging.stopping import Stop, run_until_cancelled
from shared.messaging.topology import EXCHANGE, LISTENERS, RETRY_PAUSES, Queues
from shared.messaging.wire import UnknownEventType, UnreadableMessage, decode, message_model
from shared.observability import begin, logger, within

_LARGEST_BATCH = 50
_PREFETCH = 3 * _LARGEST_BATCH
_RECONNECT_PAUSE = 0.5
_BREATH = 0.01
_GRACE = 6.0

# Restarts and lost connections return messages innocently, but hardly one message so often.
_UNFINISHED_LIMIT = 3


class Consumer:
    """``run()`` it in every worker; cancel it to stop it."""

    def __init__(
        self,
        *,
        queue: str,
        handlers: Handlers,
        database: Database,
        amqp_url: str,
        exchange: str = EXCHANGE,
        pauses: Sequence[float] = RETRY_PAUSES,
        handler_timeout: float = 3.5,
        batch_timeout: float = 1.0,
        heartbeat: int = HEARTBEAT,
    ) -> None:
        """A message is late by at most both timeouts because of a handler that hangs before it."""
        by_type = {event.type: handler for event, handler in handlers.items()}
        if differences := set(by_type) ^ set(LISTENERS.get(queue, by_type)):
            raise ValueError(f"{queue}: handlers and LISTENERS differ in {sorted(differences)}")
        self._queues = Queues(queue, tuple(pauses))
        self._exchange = exchange
        self._types = frozenset(by_type)
        for event_type in self._types:
            message_model(event_type)
        self._handling = Handling(
            queue, by_type, database, timeout=handler_timeout, batch_timeout=batch_timeout
        )
        metrics.begin(queue, self._types)
        self._amqp_url = amqp_url
        self._heartbeat = heartbeat
        self._aside = Aside(self._queues, amqp_url, heartbeat=heartbeat)
        self._probe = Probe(self._queues)
        self._deliveries = Deliveries()
        self._stop = Stop()
        self._waits_for_broker = False
        self._batch = _LARGEST_BATCH

    async def run(self) -> None:
        """Consume until cancelled; then the message in hand is finished, the others go back.

        Outages are waited out. A queue that cannot be as the code wants it ends this with an error.
        """
        await run_until_cancelled(self._work(), self._request_stop, grace=_GRACE)

    def _request_stop(self) -> None:
        self._stop.request()
        self._deliveries.stop()

    async def _work(self) -> None:
        try:
            while not self._stop.requested:
                try:
                    async with connected(
                        self._amqp_url,
                        name=f"{self._queues.main} consumer",
                        heartbeat=self._heartbeat,
                    ) as connection:
                        await self._consume(connection)
                except (BrokerUnavailable, NotTaken) as error:
                    if not self._waits_for_broker:
                        self._waits_for_broker = True
                        logger.warning(
                            "consumer_waits_for_broker", queue=self._queues.main, failure=str(error)
                        )
                    await self._stop.pause(_RECONNECT_PAUSE)
        finally:
            await self._aside.close()

    async def _consume(self, connection: AbstractConnection) -> None:
        await self._queues.declare(connection, self._exchange, self._types)
        await self._queues.keep_out(connection, self._exchange, EVENT_TYPES.keys() - self._types)
        self._deliveries = deliveries = Deliveries()
        with broker_errors("open a channel"):
            opened = await connection.channel(publisher_confirms=False)
            channel = await opened.get_underlay_channel()
        channel.closing.add_done_callback(lambda _: deliveries.lose("the channel closed"))
        channel.on_consumer_cancel_callbacks.add(
            lambda _: deliveries.lose("the broker cancelled the consumer")
        )
        try:
            # Nothing is taken that could not be handled: it would count as delivered in vain.
            await self._handling.wait_for_database(self._pause)
            await self._handle_returned(channel)
            await self._handle_all(channel, deliveries)
        except GaveBack:
            return

    async def _handle_returned(self, channel: AbstractChannel) -> None:
        """Take what was returned to the queue one by one, until there is something new.

        If one of these ends the process, no other message is in hand and blamed with it.
        """
        while not self._stop.requested:
            with broker_errors("get a message"):
                message = await channel.basic_get(self._queues.main, timeout=PROBE_TIMEOUT)
            if message.delivery_tag is None:
                return
            delivery = Delivery.of(message)
            await self._handle(channel, [delivery])
            if not delivery.redelivered:
                return

    async def _handle_all(self, channel: AbstractChannel, deliveries: Deliveries) -> None:
        with broker_errors("consume"):
            await channel.basic_qos(prefetch_count=_PREFETCH, timeout=PROBE_TIMEOUT)
            await channel.basic_consume(self._queues.main, deliveries.add, timeout=PROBE_TIMEOUT)
        self._waits_for_broker = False
        logger.info("consumer_started", queue=self._queues.main)
        while not self._stop.requested:
            await self._probe.look(channel, is_idle=self._deliveries.is_empty)
            taken = await deliveries.take(self._batch, patience=PROBE_PAUSE)
            await self._handle(channel, taken)
            if 0 < len(taken) < self._batch:
                # The next transaction has several messages then: each costs less.
                await self._stop.pause(_BREATH)

    async def _handle(self, channel: AbstractChannel, taken: Sequence[Delivery]) -> None:
        started = perf_counter()
        readable = [
            (delivery, self._begin(event))
            for delivery in taken
            if (event := await self._read(channel, delivery)) is not None
        ]
        try:
            await self._handle_readable(channel, readable, started)
        finally:
            for _, each in readable:
                each.context.end()

    def _begin(self, event: Event[Any]) -> InHand[Any]:
        told = {
            "messaging.system": "rabbitmq",
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.destination.name": self._queues.main,
            "messaging.rabbitmq.destination.routing_key": event.type,
            "messaging.message.id": str(event.id),
        }
        name = f"process {event.type}"
        return InHand(event, begin(name, "consumer", told, traceparent=event.traceparent))

    async def _handle_readable(
        self,
        channel: AbstractChannel,
        readable: Sequence[tuple[Delivery, InHand[Any]]],
        started: float,
    ) -> None:
        if len(readable) > 1:
            if await self._handling.together([each for _, each in readable]):
                await acknowledge(channel, readable[-1][0], everything_before=True)
                for delivery, each in readable:
                    self._tell_handled(delivery, each, started)
                self._batch = min(2 * self._batch, _LARGEST_BATCH)
                return
            # Too slow or too often with a bad one among them: less is lost in a smaller batch.
            self._batch = max(len(readable) // 2, 2)
        for delivery, each in readable:
            if self._stop.requested:
                return
            await self._handle_alone(channel, delivery, each)

    async def _handle_alone(
        self, channel: AbstractChannel, delivery: Delivery, taken: InHand[Any]
    ) -> None:
        started = perf_counter()
        try:
            await self._handling.alone(taken, self._pause)
        except HandlingFailed as failure:
            with within(taken.context):
                await self._aside.put(channel, delivery, taken.event.type, str(failure))
            return
        await acknowledge(channel, delivery)
        self._tell_handled(delivery, taken, started)

    async def _pause(self, seconds: float) -> None:
        """Wait with a message in hand; there is no point in it once somebody else may have it."""
        await self._stop.pause(seconds)
        if self._stop.requested:
            raise GaveBack
        self._deliveries.ensure_alive()

    async def _read(self, channel: AbstractChannel, delivery: Delivery) -> Event[Any] | None:
        """The event; None when it could not be read, and the message has been put aside."""
        try:
            event = decode(delivery.body)
        except UnreadableMessage as error:
            await self._aside.put(channel, delivery, "unreadable", str(error), for_good=True)
            return None
        except UnknownEventType as error:
            # While old and new code run together, a colleague may know it a moment later.
            await self._aside.put(channel, delivery, "unknown", str(error))
            return None
        if event.type not in self._types:
            await self._aside.put(channel, delivery, event.type, f"no handler for {event.type}")
            return None
        if delivery.unfinished >= _UNFINISHED_LIMIT:
            reason = f"the process or its connection ended {delivery.unfinished} times over it"
            await self._aside.put(channel, delivery, event.type, reason)
            return None
        return event

    def _tell_handled(self, delivery: Delivery, taken: InHand[Any], started: float) -> None:
        queue, event = self._queues.main, taken.event
        metrics.HANDLED.labels(queue, event.type).inc()
        metrics.LAG.labels(queue).observe((datetime.now(UTC) - event.time).total_seconds())
        with within(taken.context):
            logger.info(
                "message_handled",
                queue=queue,
                type=event.type,
                event_id=str(event.id),
                subject=event.subject,
                attempts=delivery.failures.attempts if delivery.failures else 0,
                ms=round((perf_counter() - started) * 1000, 2),
            )
