"""The whole way, on a real broker: an event is published, a mail arrives."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from notifications.consumers import HANDLERS
from shared.db import Database
from shared.events.booking import BookingCancelled, BookingConfirmed
from shared.events.envelope import EventData, json_ready
from shared.messaging.broker import connected
from shared.messaging.consumer import Consumer
from shared.messaging.publisher import Outgoing, Publisher
from shared.messaging.topology import LISTENERS, Queues
from shared.messaging.wire import CONTENT_TYPE
from shared.observability import current_traceparent, story

from .builders import PATIENT_EMAIL, PROVIDER_EMAIL, a_patient, a_provider, an_appointment
from .conftest import MakeSender, Rows, Running, Until
from .mail_host import MailHost

Publish = Callable[..., Awaitable[None]]


class Exchange:
    """An exchange and queues that no other test shares."""

    def __init__(self, amqp_url: str) -> None:
        self.amqp_url = amqp_url
        self.name = f"test-{uuid4().hex}"
        self.queues = Queues(f"{self.name}.notifications")

    async def publish(self, data: EventData, *, event_id: UUID | None = None) -> None:
        id_ = event_id or uuid4()
        envelope = {
            "specversion": "1.0",
            "id": id_,
            "source": data.source,
            "type": data.type,
            "subject": data.subject,
            "sequence": data.sequence,
            "time": "2026-11-20T12:00:00Z",
            "traceparent": current_traceparent(),
            "data": json_ready(data),
        }
        async with Publisher(self.amqp_url, name="test") as publisher:
            await publisher.publish(
                Outgoing(
                    exchange=self.name,
                    routing_key=data.type,
                    body=orjson.dumps(envelope),
                    message_id=str(id_),
                    type=data.type,
                    content_type=CONTENT_TYPE,
                )
            )


@pytest.fixture
async def exchange(amqp_url: str) -> AsyncIterator[Exchange]:
    exchange = Exchange(amqp_url)
    async with connected(amqp_url, name="test") as connection:
        await exchange.queues.declare(connection, exchange.name, [event.type for event in HANDLERS])
        yield exchange
        channel = await connection.channel()
        queues = exchange.queues
        for name in (queues.main, queues.parked, *queues.retries):
            await channel.queue_delete(name)
        await channel.exchange_delete(exchange.name)


@asynccontextmanager
async def listening(exchange: Exchange, database: Database, running: Running) -> Any:
    consumer = Consumer(
        queue=exchange.queues.main,
        handlers=HANDLERS,
        database=database,
        amqp_url=exchange.amqp_url,
        exchange=exchange.name,
    )
    async with running(consumer.run()):
        yield


def test_the_queue_gets_what_there_are_handlers_for() -> None:
    assert {event.type for event in HANDLERS} == set(LISTENERS["notifications"])


async def test_a_redelivered_event_sends_one_mail_to_each(
    exchange: Exchange,
    database: Database,
    make_sender: MakeSender,
    running: Running,
    mail_host: MailHost,
    jobs: Rows,
    until: Until,
) -> None:
    confirmed = an_appointment(BookingConfirmed, version=2)
    cancelled = an_appointment(BookingCancelled, id=confirmed.id, version=3)

    async with listening(exchange, database, running), running(make_sender().run()):
        with story("test"):
            for data in (a_patient(), a_provider()):
                await exchange.publish(data)
            event_id = uuid4()
            await exchange.publish(confirmed, event_id=event_id)
            await exchange.publish(confirmed, event_id=event_id)
            await exchange.publish(confirmed)
            await until(lambda: len(mail_host.mails) == 2)
            await exchange.publish(cancelled)
            await exchange.publish(confirmed)
            await until(lambda: len(mail_host.mails) == 4)
            trace = (current_traceparent() or "").split("-")[1]

    for address in (PATIENT_EMAIL, PROVIDER_EMAIL):
        assert len(mail_host.to(address)) == 2
    assert {job["traceparent"].split("-")[1] for job in await jobs()} == {trace}
