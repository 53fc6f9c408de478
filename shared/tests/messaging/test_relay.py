"""Everything committed is published, nothing else is, whatever breaks in between."""

import asyncio
import signal
import sys
from contextlib import suppress
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
from structlog.testing import capture_logs

from shared.events.provider import AppointmentTypeDeleted
from shared.events.registry import EVENT_TYPES
from shared.messaging import metrics, outbox
from shared.messaging.relay import Relay
from shared.messaging.topology import LISTENERS, TopologyMismatch
from shared.observability import current_traceparent, story

from .link import Link
from .stage import SOON, TYPE, Stage, an_event, running, subjects_of, until

OTHER_TYPE = AppointmentTypeDeleted.type


def another_event() -> AppointmentTypeDeleted:
    return AppointmentTypeDeleted(id=uuid4(), version=1, provider_id=uuid4())


async def end_active_relay(stage: Stage) -> None:
    """As if its process had been killed and its connection with it."""
    async with stage.database.reading() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks "
            "JOIN pg_stat_activity USING (pid) "
            "WHERE locktype = 'advisory' AND datname = current_database()"
        )


async def active_relays(stage: Stage) -> int:
    async with stage.database.reading() as connection:
        return await connection.fetchval(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE locktype = 'advisory' AND application_name = 'availability relay' "
            "AND datname = current_database()"
        )


async def test_a_committed_event_arrives_as_a_cloudevent(stage: Stage) -> None:
    event = an_event(version=7)
    with story("test"):
        cause = current_traceparent()
        await stage.commit(event)

    async with running(stage.relay().run()):
        [message] = await stage.take(1)
        await until(stage.all_published)

    envelope = orjson.loads(message.body)
    async with stage.database.reading() as connection:
        row = await connection.fetchrow("SELECT id, occurred_at FROM outbox")
    time = row["occurred_at"].isoformat().replace("+00:00", "Z")
    assert envelope == {
        "specversion": "1.0",
        "id": str(row["id"]),
        "source": "/availability",
        "type": TYPE,
        "subject": str(event.id),
        "time": time,
        "sequence": 7,
        "datacontenttype": "application/json",
        "traceparent": cause,
        "data": {"id": str(event.id), "version": 7},
    }
    properties = message.header.properties
    assert properties.message_id == str(row["id"])
    assert properties.content_type == "application/cloudevents+json"
    assert properties.delivery_mode == 2


async def test_events_arrive_in_the_order_of_their_positions(stage: Stage) -> None:
    events = [an_event() for _ in range(250)]
    await stage.commit(*events)

    async with running(stage.relay().run()):
        messages = await stage.take(len(events))

    assert subjects_of(messages) == [event.id for event in events]


async def test_nothing_is_published_for_a_transaction_that_was_rolled_back(stage: Stage) -> None:
    async with running(stage.relay().run()):
        with suppress(ZeroDivisionError):
            async with stage.database.transaction() as connection:
                await outbox.put(connection, an_event())
                _ = 1 / 0
        kept = an_event()
        await stage.commit(kept)

        [message] = await stage.take(1)

    assert subjects_of([message]) == [kept.id]
    assert await stage.depth(stage.queues.main) == 0


async def test_a_lower_position_that_commits_later_is_not_lost(stage: Stage) -> None:
    early, late = an_event(), an_event()
    async with running(stage.relay().run()):
        async with stage.database.transaction() as slow:
            await outbox.put(slow, early)
            await stage.commit(late)
            first = await stage.take(1)
            await until(lambda: has_published(stage, late.id))
        second = await stage.take(1)

    assert subjects_of(first + second) == [late.id, early.id]


async def has_published(stage: Stage, subject: UUID) -> bool:
    async with stage.database.reading() as connection:
        return await connection.fetchval(
            "SELECT published_at IS NOT NULL FROM outbox WHERE subject = $1", str(subject)
        )


async def test_a_commit_wakes_the_relay(stage: Stage) -> None:
    async with running(stage.relay(poll=60).run()):
        await stage.commit(an_event())
        await stage.take(1)

        await stage.commit(an_event())
        await stage.take(1)  # sooner than its next look


async def test_of_two_relays_one_is_active_and_the_other_takes_over(stage: Stage) -> None:
    await stage.declare()
    relays = [asyncio.create_task(stage.relay().run()) for _ in range(2)]
    try:
        await stage.commit(*(an_event() for _ in range(300)))
        await until(stage.all_published)
        assert await active_relays(stage) == 1
        assert await stage.depth(stage.queues.main) == 300

        await end_active_relay(stage)
        await stage.commit(an_event())
        await until(stage.all_published)

        assert await active_relays(stage) == 1
    finally:
        for relay in relays:
            relay.cancel()
        await asyncio.gather(*relays, return_exceptions=True)


RELAY_PROCESS = """
import asyncio, sys
from shared.messaging.relay import Relay
database, broker, exchange, event_type = sys.argv[1:]
relay = Relay(service="availability", database_url=database, amqp_url=broker, exchange=exchange,
              listeners={exchange: [event_type]})
asyncio.run(relay.run())
"""


async def test_a_relay_killed_between_publish_and_mark_loses_and_doubles_nothing(
    stage: Stage,
) -> None:
    event = an_event()
    await stage.commit(event)
    async with stage.database.transaction() as locking:
        # The relay can read the row, and cannot mark it.
        await locking.execute("SELECT FROM outbox FOR UPDATE")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", RELAY_PROCESS),
            *(stage.database_url, stage.amqp_url, stage.name, TYPE),
            stdout=asyncio.subprocess.DEVNULL,
        )
        await until(lambda: stage.depth(stage.queues.main))
        process.send_signal(signal.SIGKILL)
        await process.wait()
        # PostgreSQL would still carry out the mark that it has received.
        await end_active_relay(stage)
    assert await stage.unpublished() == 1

    async with running(stage.relay().run(), stage.consumer().run()):
        await until(stage.all_published)
        await until(lambda: stage.has_effects(event.id))
        await until(lambda: is_empty(stage))

    assert await stage.effects() == {event.id: 1}


async def is_empty(stage: Stage) -> bool:
    return await stage.depth(stage.queues.main) == 0


async def test_an_event_that_nobody_listens_to_stays_in_the_history(stage: Stage) -> None:
    unheard, heard = another_event(), an_event()
    before = metrics.UNROUTED.labels(OTHER_TYPE)._value.get()
    await stage.commit(unheard, heard)

    async with running(stage.relay().run()):
        [message] = await stage.take(1)
        await until(stage.all_published)

    assert subjects_of([message]) == [heard.id]
    assert metrics.UNROUTED.labels(OTHER_TYPE)._value.get() == before + 1


async def test_a_listener_that_has_never_run_misses_nothing(stage: Stage) -> None:
    event = an_event()
    async with running(stage.relay().run()):
        await stage.commit(event)
        await until(stage.all_published)

    async with running(stage.consumer().run()):
        await until(lambda: stage.has_effects(event.id))


async def test_a_listeners_queue_that_was_deleted_is_made_again(stage: Stage) -> None:
    async with running(stage.relay().run()):
        await stage.commit(an_event())
        await stage.take(1)
        await (await stage.channel()).queue_delete(stage.queues.main)

        event = an_event()
        await stage.commit(event)
        [message] = await stage.take(1)

    assert subjects_of([message]) == [event.id]


async def test_an_event_waits_unpublished_for_a_listener_whose_queue_is_refused(
    stage: Stage,
) -> None:
    # A queue of the listener's name that is not as the code wants it, and not bound.
    channel = await stage.channel()
    await channel.queue_declare(stage.name, durable=True)
    other = f"{stage.name}-other"
    stage.extra_queues += [other, f"{other}.parked"]
    listeners = {stage.name: [TYPE], other: [OTHER_TYPE]}
    waiting, passing = an_event(), another_event()
    await stage.commit(waiting, passing)

    async with running(stage.relay(listeners=listeners).run()):
        [message] = await stage.take(1, other)
        await until(lambda: has_published(stage, passing.id))
        assert not await has_published(stage, waiting.id)

        await channel.queue_delete(stage.name)
        await stage.declare()
        [late] = await stage.take(1)

    assert subjects_of([message, late]) == [passing.id, waiting.id]


async def test_what_the_broker_refuses_is_sent_again_and_nothing_else(stage: Stage) -> None:
    await stage.declare(TYPE)
    full = f"{stage.name}-full"
    stage.extra_queues.append(full)
    channel = await stage.channel()
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
    await channel.queue_declare(full, durable=True, arguments=arguments)
    await channel.queue_bind(full, stage.name, OTHER_TYPE)
    await stage.send(b"{}", queue=full)
    refused, passing = another_event(), [an_event() for _ in range(20)]
    await stage.commit(*passing[:10], refused, *passing[10:])

    async with running(stage.relay().run()):
        messages = await stage.take(20)
        await until(lambda: has_published(stage, passing[-1].id))
        await stage.commit(another_event(), later := an_event())
        await until(lambda: has_published(stage, later.id))
        assert await stage.unpublished() == 2
        await channel.queue_delete(full)
        await channel.queue_declare(full, durable=True)
        await channel.queue_bind(full, stage.name, OTHER_TYPE)
        await until(stage.all_published)

    assert set(subjects_of(messages)) == {event.id for event in passing}
    assert subjects_of(await stage.take(1)) == [later.id]
    assert await stage.depth(stage.queues.main) == 0


async def test_a_broker_that_hangs_delays_the_relay_and_does_not_end_it(
    stage: Stage, broker_link: Link
) -> None:
    async with running(stage.relay(amqp_url=broker_link.url, timeout=2).run()):
        await stage.commit(an_event())
        await stage.take(1)
        broker_link.hold()
        event = an_event()
        await stage.commit(event)
        await until(lambda: broker_link.held > 2)
        assert await stage.unpublished() == 1

        broker_link.release()
        await until(stage.all_published)
        messages = await stage.take(1)

    assert subjects_of(messages) == [event.id]


async def test_a_relay_survives_a_restart_of_the_broker(stage: Stage, broker_link: Link) -> None:
    async with running(stage.relay(amqp_url=broker_link.url).run()):
        await stage.commit(an_event())
        await stage.take(1)
        broker_link.unplug()
        events = [an_event() for _ in range(50)]
        for event in events:
            await stage.commit(event)

        broker_link.plug_in()
        await until(stage.all_published)
        messages = await stage.take(len(events))

    assert subjects_of(messages) == [event.id for event in events]


async def test_a_relay_survives_a_restart_of_the_database(
    stage: Stage, database_link: Link
) -> None:
    async with running(stage.relay(database_url=database_link.url).run()):
        await stage.commit(an_event())
        await stage.take(1)
        database_link.unplug()
        await stage.commit(an_event())

        database_link.plug_in()
        await until(stage.all_published)


async def test_a_stopped_relay_marks_what_it_has_published(stage: Stage) -> None:
    await stage.declare()
    async with stage.database.transaction() as locking:
        await stage.commit(an_event())
        await locking.execute("SELECT FROM outbox FOR UPDATE")
        relay = asyncio.create_task(stage.relay().run())
        await until(lambda: stage.depth(stage.queues.main))

        relay.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await relay

    assert await stage.unpublished() == 0


async def test_a_relay_that_cannot_work_ends_with_an_error(stage: Stage) -> None:
    channel = await stage.channel()
    await channel.exchange_declare(stage.name, exchange_type="fanout")
    await stage.commit(an_event())

    with pytest.raises(TopologyMismatch):
        await asyncio.wait_for(stage.relay().run(), SOON)


async def test_a_relay_without_its_table_ends_with_an_error(
    stage: Stage, postgres_url: str
) -> None:
    relay = Relay(service="x", database_url=postgres_url, amqp_url=stage.amqp_url)

    with pytest.raises(asyncpg.UndefinedTableError):
        await asyncio.wait_for(relay.run(), SOON)


async def test_a_relay_whose_password_is_being_changed_waits(stage: Stage) -> None:
    relay = Relay(
        service="x",
        database_url=stage.database_url.replace("shared_tests:", "nobody:"),
        amqp_url=stage.amqp_url,
    )

    with capture_logs() as lines:
        async with running(relay.run()):
            await until(lambda: lines)

    assert {line["event"] for line in lines} == {"relay_waits_for_database"}


def test_every_event_that_somebody_listens_to_exists() -> None:
    assert {each for types in LISTENERS.values() for each in types} <= set(EVENT_TYPES)
