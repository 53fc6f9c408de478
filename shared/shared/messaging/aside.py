"""Where a message goes that could not be handled: to its next retry, or to the parked ones."""

from aiormq.abc import AbstractChannel

from shared.messaging import metrics
from shared.messaging.broker import HEARTBEAT
from shared.messaging.deliveries import Delivery, acknowledge
from shared.messaging.failures import Failures
from shared.messaging.publisher import Outgoing, Publisher
from shared.messaging.topology import Queues
from shared.observability import logger


class Aside:
    """Takes one consumer's messages out of its way; publishes on a connection of its own."""

    def __init__(self, queues: Queues, amqp_url: str, *, heartbeat: int = HEARTBEAT) -> None:
        self._queues = queues
        self._publisher = Publisher(amqp_url, name=f"{queues.main} retries", heartbeat=heartbeat)

    async def put(
        self,
        channel: AbstractChannel,
        delivery: Delivery,
        event_type: str,
        reason: str,
        *,
        for_good: bool = False,
    ) -> None:
        """Into the queue of the next retry, or parked; gone from here once it is safe there."""
        failures = Failures.after(delivery.failures, reason)
        queue = self._queues.parked if for_good else self._queues.after_failure(failures.attempts)
        await self._publisher.publish(
            Outgoing(
                routing_key=queue,
                body=delivery.body,
                message_id=delivery.message_id,
                type=delivery.type,
                content_type=delivery.content_type,
                headers=failures.headers(),
            )
        )
        await acknowledge(channel, delivery)
        parked = queue == self._queues.parked
        counter = metrics.PARKED if parked else metrics.RETRIED
        counter.labels(self._queues.main, event_type).inc()
        logger.log(
            40 if parked else 30,
            "message_parked" if parked else "message_retried",
            queue=self._queues.main,
            type=event_type,
            event_id=delivery.message_id,
            attempts=failures.attempts,
            failure=failures.reason,
        )

    async def close(self) -> None:
        await self._publisher.disconnect()
