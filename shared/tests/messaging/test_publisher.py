"""Publishing ends, one way or the other, whatever the broker does."""

import asyncio
from time import monotonic
from uuid import uuid4

import aiormq
import pytest

from shared.messaging.broker import BrokerUnavailable, Unroutable
from shared.messaging.publisher import Outgoing, Publisher

from .link import Link
from .stage import SOON, Stage, until


def a_message(stage: Stage, **changes: str) -> Outgoing:
    values = {
        "routing_key": stage.queues.main,
        "message_id": str(uuid4()),
        "type": "provider.deleted",
        "content_type": "application/json",
    } | changes
    return Outgoing(body=b"{}", **values)


async def test_a_published_message_is_persistent_and_keeps_its_id(stage: Stage) -> None:
    await stage.declare()
    message = a_message(stage)

    async with Publisher(stage.amqp_url, name="test") as publisher:
        await publisher.publish(message)

    [delivered] = await stage.take(1)
    assert delivered.header.properties.delivery_mode == 2
    assert delivered.header.properties.message_id == message.message_id


async def test_a_message_that_no_queue_takes_is_given_back(stage: Stage) -> None:
    await stage.declare()
    messages = [a_message(stage), a_message(stage, routing_key="nowhere"), a_message(stage)]

    async with Publisher(stage.amqp_url, name="test") as publisher:
        outcomes = await publisher.publish_all(messages)

    assert [type(outcome) for outcome in outcomes] == [type(None), Unroutable, type(None)]


async def test_a_broker_that_hangs_is_given_up_and_found_again(
    stage: Stage, broker_link: Link
) -> None:
    await stage.declare()
    async with Publisher(broker_link.url, name="test", timeout=3) as publisher:
        await publisher.publish(a_message(stage))
        broker_link.hold()
        started = monotonic()

        with pytest.raises(BrokerUnavailable):
            await publisher.publish(a_message(stage))
        with pytest.raises(BrokerUnavailable):
            await publisher.publish(a_message(stage))

        assert monotonic() - started < SOON
        broker_link.release()
        await publisher.publish(a_message(stage))


async def test_a_connection_that_dies_under_a_publish_is_no_cancellation(
    stage: Stage, broker_link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The library ends a publish with CancelledError when no heartbeat has come for this long.
    monkeypatch.setattr(aiormq.Connection, "HEARTBEAT_GRACE_MULTIPLIER", 0.1)
    await stage.declare()
    async with Publisher(broker_link.url, name="test", heartbeat=1, timeout=120) as publisher:
        await publisher.publish(a_message(stage))
        broker_link.hold()

        with pytest.raises(BrokerUnavailable):
            await asyncio.wait_for(publisher.publish(a_message(stage)), SOON)


async def test_a_connection_that_breaks_is_opened_anew(stage: Stage, broker_link: Link) -> None:
    await stage.declare()
    async with Publisher(broker_link.url, name="test", timeout=20) as publisher:
        await publisher.publish(a_message(stage))
        broker_link.hold()
        waiting = asyncio.create_task(publisher.publish(a_message(stage)))
        await until(lambda: broker_link.held)
        broker_link.cut()

        with pytest.raises(BrokerUnavailable):
            await waiting

        broker_link.release()
        await publisher.publish(a_message(stage))


async def test_cancelling_a_publish_stays_a_cancellation(stage: Stage, broker_link: Link) -> None:
    await stage.declare()
    async with Publisher(broker_link.url, name="test") as publisher:
        await publisher.publish(a_message(stage))
        broker_link.hold()
        waiting = asyncio.create_task(publisher.publish(a_message(stage)))
        await until(lambda: broker_link.held)

        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting
        broker_link.release()
