"""Every few seconds: is the connection alive, and the queue still there? How full is it?"""

from time import monotonic

from aiormq.abc import AbstractChannel

from shared.messaging import metrics
from shared.messaging.broker import broker_errors
from shared.messaging.topology import Queues

PROBE_PAUSE = 5.0
PROBE_TIMEOUT = 10.0


class Probe:
    """Of one consumer's queues."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self._due_at = 0.0

    async def look(self, channel: AbstractChannel, *, is_idle: bool) -> None:
        """When it is time; raises BrokerUnavailable. ``is_idle``: the consumer has nothing."""
        if monotonic() < self._due_at:
            return
        self._due_at = monotonic() + PROBE_PAUSE
        queue = self._queues.main
        waiting = await _depth(channel, queue)
        retrying = [await _depth(channel, name) for name in self._queues.retries]
        metrics.DEPTH.labels(queue).set(waiting)
        metrics.RETRYING.labels(queue).set(sum(retrying))
        metrics.PARKED_NOW.labels(queue).set(await _depth(channel, self._queues.parked))
        if waiting == 0 and is_idle:
            metrics.LEVEL.labels(queue).set_to_current_time()


async def _depth(channel: AbstractChannel, queue: str) -> int:
    with broker_errors("look at the queue"):
        found = await channel.queue_declare(queue, passive=True, timeout=PROBE_TIMEOUT)
    return found.message_count or 0
