"""The loops that every worker runs: relay, consumer, and forgetting what is old enough."""

from datetime import timedelta
from typing import TypeVar

from shared.idempotency import purge_idempotency_keys
from shared.messaging.consumer import Consumer
from shared.messaging.handlers import Handlers
from shared.messaging.inbox import purge_inbox
from shared.messaging.outbox import purge_outbox
from shared.messaging.relay import Relay
from shared.settings import ServiceSettings
from shared.worker import Loops, Worker

Settings = TypeVar("Settings", bound=ServiceSettings)


def messaging_loops(worker: Worker[Settings], queue: str, handlers: Handlers) -> Loops:
    """Publish the worker's outbox, feed ``handlers`` from ``queue``, purge once an hour."""
    settings, database = worker.settings, worker.database
    relay = Relay(
        service=worker.name, database_url=settings.database_url, amqp_url=settings.amqp_url
    )
    consumer = Consumer(
        queue=queue, handlers=handlers, database=database, amqp_url=settings.amqp_url
    )
    hour = timedelta(hours=1)
    return {
        "relay": relay.run,
        "consumer": consumer.run,
        "outbox purge": worker.chore("outbox purge", hour, lambda: purge_outbox(database)),
        "inbox purge": worker.chore("inbox purge", hour, lambda: purge_inbox(database)),
        "key purge": worker.timer("key purge", hour, purge_idempotency_keys),
    }
