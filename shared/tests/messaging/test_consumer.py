"""Each message takes effect once, be it delivered twice, together or during an outage."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiormq.exceptions import PublishError

from shared.db import Connection, Database
from shared.events.envelope import Event
from shared.events.provider import ProviderDeleted
from shared.messaging import outbox
from shared.messaging.deliveries import Deliveries
from shared.messaging.topology import TopologyMismatch
from shared.observability import current_trace_id

from .link import Link
from .stage import SOON, TYPE, Stage, an_event, body_of, count_effect, running, until


async def test_what_an_earlier_release_listened_to_comes_no_more(stage: Stage) -> None:
    await stage.declare(TYPE, "booking.held")

    async with running(stage.consumer().run()):
        await until(lambda: has_consumers(stage, 1))

        assert not await is_routed(stage, "booking.held")
        assert await is_routed(stage, TYPE)


async def test_a_message_delivered_twice_has_one_effect(stage: Stage) -> None:
    await stage.declare()
    event, id_, last = an_event(), uuid4(), an_event()
    twice = body_of(event, id_)

    async with running(stage.consumer().run()):
        await stage.send(twice)
        await until(lambda: stage.has_effects(event.id))
        await stage.send(twice, twice, body_of(last))
        await until(lambda: stage.has_effects(last.id))

    assert await stage.effects() == {event.id: 1, last.id: 1}


async def test_copies_that_arrive_together_have_one_effect(stage: Stage) -> None:
    async def wait_for_the_others(connection: Connection, event: Event[Any]) -> None:
        if event.data.version == 2:
            await until(lambda: is_empty(stage))
        await count_effect(connection, event)

    await stage.declare()
    first, waiting, event, last = an_event(), an_event(version=2), an_event(), an_event()
    copies = [body_of(event, uuid4())] * 10
    await stage.send(body_of(first), body_of(waiting), *copies, body_of(last))

    async with running(stage.consumer({ProviderDeleted: wait_for_the_others}).run()):
        await until(lambda: stage.has_effects(last.id))

    assert set((await stage.effects()).values()) == {1}


async def test_two_consumers_of_one_queue_share_the_work_and_double_nothing(stage: Stage) -> None:
    await stage.declare()
    events = [an_event() for _ in range(100)]
    bodies = [body_of(event, uuid4()) for event in events]
    await stage.send(*bodies, *bodies)

    async with running(stage.consumer().run(), stage.consumer().run()):
        await until(lambda: stage.has_effects(*(event.id for event in events)))
        await until(lambda: is_empty(stage))

    assert set((await stage.effects()).values()) == {1}


async def is_empty(stage: Stage) -> bool:
    return await stage.depth(stage.queues.main) == 0


async def test_a_handler_gets_the_event_as_it_was_stated(stage: Stage) -> None:
    seen: list[tuple[Event[Any], str | None]] = []

    async def look(_: Connection, event: Event[Any]) -> None:
        seen.append((event, current_trace_id()))

    stated = an_event(version=4)
    async with running(stage.relay().run(), stage.consumer({ProviderDeleted: look}).run()):
        await stage.commit(stated)
        await until(lambda: seen)

    [(event, trace_id)] = seen
    assert (event.type, event.source, event.subject, event.sequence) == (
        "provider.deleted",
        "/availability",
        str(stated.id),
        4,
    )
    assert event.data == stated
    assert trace_id is not None


async def test_what_a_handler_announces_goes_out_with_its_effect(stage: Stage) -> None:
    async def announce(connection: Connection, event: Event[Any]) -> None:
        await outbox.put(connection, an_event(event.data.id, version=event.data.version + 1))
        if event.data.version == 1:
            raise ZeroDivisionError

    await stage.declare()
    await stage.send(body_of(an_event(version=1)), body_of(an_event(version=5)))
    async with running(stage.consumer({ProviderDeleted: announce}).run()):
        await until(stage.is_parked)

    async with stage.database.reading() as connection:
        assert [r["sequence"] for r in await connection.fetch("SELECT sequence FROM outbox")] == [6]


async def test_the_others_of_a_batch_do_not_suffer_from_a_bad_message(stage: Stage) -> None:
    bad = uuid4()

    async def refuse_one(connection: Connection, event: Event[Any]) -> None:
        await count_effect(connection, event)
        if event.data.id == bad:
            raise ValueError

    await stage.declare()
    good = [an_event() for _ in range(15)]
    await stage.send(*map(body_of, [*good[:7], an_event(bad), *good[7:]]))

    # Without a single pause: whoever is put aside is parked.
    async with running(stage.consumer({ProviderDeleted: refuse_one}, pauses=()).run()):
        await until(stage.is_parked)
        await until(lambda: stage.has_effects(*(event.id for event in good)))

    assert await stage.depth(stage.queues.parked) == 1
    assert set((await stage.effects()).values()) == {1}


async def test_waiting_messages_share_a_transaction_also_after_a_bad_one(stage: Stage) -> None:
    async def note(connection: Connection, event: Event[Any]) -> None:
        await connection.execute(
            "INSERT INTO effects (id, value) VALUES ($1, mod(pg_current_xact_id()::text::bigint, "
            "1000000000))",
            event.data.id,
        )
        if event.data.version == 2:
            raise ValueError

        if event.data.version == 3:  # the second one, until all others have come, too
            await until(lambda: is_empty(stage))

    await stage.declare()
    good = [an_event(), an_event(version=3), *(an_event() for _ in range(140))]
    await stage.send(*map(body_of, [*good[:4], an_event(version=2), *good[4:]]))
    async with running(stage.consumer({ProviderDeleted: note}, pauses=()).run()):
        await until(lambda: stage.has_effects(*(event.id for event in good)))

    assert len(set((await stage.effects()).values())) < 75


async def test_a_transaction_undone_for_a_rival_is_done_again_at_once(stage: Stage) -> None:
    tries: list[Any] = []

    async def lose_at_first(connection: Connection, event: Event[Any]) -> None:
        tries.append(event)
        if len(tries) < 6:
            raise asyncpg.DeadlockDetectedError
        await count_effect(connection, event)

    await stage.declare()
    event = an_event()
    await stage.send(body_of(event))
    async with running(stage.consumer({ProviderDeleted: lose_at_first}, pauses=()).run()):
        await until(lambda: stage.has_effects(event.id))

    assert len(tries) == 6


async def test_an_outage_of_the_database_burns_no_attempt(
    stage: Stage, database_link: Link
) -> None:
    attempts: list[UUID] = []

    async def note(connection: Connection, event: Event[Any]) -> None:
        attempts.append(event.data.id)
        await count_effect(connection, event)

    async with Database.open(database_link.url, application_name="test") as database:
        # Without a single pause: the first burnt attempt would park the message.
        consumer = stage.consumer({ProviderDeleted: note}, database=database, pauses=())
        async with running(consumer.run()):
            before, during = an_event(), [an_event() for _ in range(5)]
            await stage.declare()
            await stage.send(body_of(before))
            await until(lambda: stage.has_effects(before.id))
            database_link.unplug()
            await stage.send(*map(body_of, during))
            await until(lambda: is_empty(stage))
            # So often that a consumer which counts outages would have given up.
            await until(lambda: database_link.refused > 5)

            database_link.plug_in()
            await until(lambda: stage.has_effects(*(event.id for event in during)))

    assert await stage.depth(stage.queues.parked) == 0
    assert set((await stage.effects()).values()) == {1}


async def test_a_database_that_hangs_burns_no_attempt(stage: Stage, database_link: Link) -> None:
    async with Database.open(database_link.url, application_name="test") as database:
        consumer = stage.consumer(database=database, pauses=(), handler_timeout=2, batch_timeout=2)
        async with running(consumer.run()):
            before, during = an_event(), an_event()
            await stage.declare()
            await stage.send(body_of(before))
            await until(lambda: stage.has_effects(before.id))
            database_link.hold()
            await stage.send(body_of(during))
            # A second after each question the next one: by now the handler's time would be over.
            await until(lambda: database_link.held > 4)

            database_link.release()
            await until(lambda: stage.has_effects(during.id))

    assert await stage.depth(stage.queues.parked) == 0


async def test_a_consumer_survives_a_restart_of_the_broker(stage: Stage, broker_link: Link) -> None:
    events = [an_event() for _ in range(40)]
    async with running(stage.consumer(amqp_url=broker_link.url).run()):
        await stage.declare()
        await stage.send(*map(body_of, events[:20]))
        await until(stage.effects)
        broker_link.unplug()
        await stage.send(*map(body_of, events[20:]))

        broker_link.plug_in()
        await until(lambda: stage.has_effects(*(event.id for event in events)))
        await until(lambda: is_empty(stage))

    assert set((await stage.effects()).values()) == {1}
    assert await stage.depth(stage.queues.parked) == 0


async def test_an_idle_consumer_notices_that_its_connection_is_lost(
    stage: Stage, broker_link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without looking after it from time to time.
    monkeypatch.setattr("shared.messaging.consumer.PROBE_PAUSE", 600.0)
    await stage.declare()
    first, second = an_event(), an_event()
    async with running(stage.consumer(amqp_url=broker_link.url).run()):
        await stage.send(body_of(first))
        await until(lambda: stage.has_effects(first.id))
        await until(lambda: has_consumers(stage, 1))

        broker_link.cut()
        await until(lambda: has_consumers(stage, 0))
        await stage.send(body_of(second))
        await until(lambda: stage.has_effects(second.id))


async def has_consumers(stage: Stage, count: int) -> bool:
    channel = await stage.channel()
    declared = await channel.queue_declare(stage.queues.main, passive=True)
    return declared.consumer_count == count


async def is_routed(stage: Stage, event_type: str) -> bool:
    async with stage.connection.channel(on_return_raises=True) as channel:
        confirming = await channel.get_underlay_channel()
        try:
            await confirming.basic_publish(
                body_of(an_event()), exchange=stage.name, routing_key=event_type, mandatory=True
            )
        except PublishError:
            return False
        return True


async def test_a_message_whose_acknowledgement_is_lost_has_one_effect(
    stage: Stage, broker_link: Link
) -> None:
    async def cut_afterwards(connection: Connection, event: Event[Any]) -> None:
        await count_effect(connection, event)
        if event.data.version == 1:
            broker_link.cut()

    await stage.declare()
    unlucky, last = an_event(version=1), an_event(version=2)
    await stage.send(body_of(unlucky))
    consumer = stage.consumer({ProviderDeleted: cut_afterwards}, amqp_url=broker_link.url)
    async with running(consumer.run()):
        await until(lambda: stage.has_effects(unlucky.id))
        await stage.send(body_of(last))
        await until(lambda: stage.has_effects(last.id))
        await until(lambda: is_empty(stage))

    assert await stage.effects() == {unlucky.id: 1, last.id: 1}


async def test_a_consumer_whose_queue_is_deleted_makes_it_again(stage: Stage) -> None:
    async with running(stage.relay().run(), stage.consumer().run()):
        first, second = an_event(), an_event()
        await stage.commit(first)
        await until(lambda: stage.has_effects(first.id))
        await (await stage.channel()).queue_delete(stage.queues.main)

        await until(lambda: stage.exists(stage.queues.main))
        await stage.commit(second)
        await until(lambda: stage.has_effects(second.id))


async def test_a_consumer_that_cannot_have_its_queue_ends_with_an_error(stage: Stage) -> None:
    channel = await stage.channel()
    await channel.queue_declare(stage.queues.main, durable=True)

    with pytest.raises(TopologyMismatch):
        await asyncio.wait_for(stage.consumer().run(), SOON)


async def test_a_stopped_consumer_finishes_what_it_has_in_hand_and_returns_the_rest(
    stage: Stage,
) -> None:
    working, go_on = asyncio.Event(), asyncio.Event()

    async def work(connection: Connection, event: Event[Any]) -> None:
        working.set()
        await go_on.wait()
        await count_effect(connection, event)

    await stage.declare()
    first = an_event()
    await stage.send(body_of(first))
    task = asyncio.create_task(stage.consumer({ProviderDeleted: work}).run())
    await working.wait()
    others = [an_event() for _ in range(5)]
    await stage.send(*map(body_of, others))

    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await stage.effects() == {first.id: 1}
    await until(lambda: has_depth(stage, 5))


async def test_a_stopped_consumer_returns_the_rest_of_a_batch_that_it_handles_singly(
    stage: Stage,
) -> None:
    calls: list[UUID] = []
    go_on = asyncio.Event()

    async def work(connection: Connection, event: Event[Any]) -> None:
        calls.append(event.data.id)
        match event.data.version:
            case 2:
                await until(lambda: is_empty(stage))
            case 3:
                await go_on.wait()
        await count_effect(connection, event)

    await stage.declare()
    first, gate, *batch = [an_event(version=version) for version in (1, 2, 3, 3, 3, 3)]
    await stage.send(*map(body_of, [first, gate, *batch]))
    consumer = stage.consumer({ProviderDeleted: work}, batch_timeout=0.5)
    task = asyncio.create_task(consumer.run())
    await until(lambda: calls.count(batch[0].id) == 2)

    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await stage.effects() == {event.id: 1 for event in (first, gate, batch[0])}
    await until(lambda: has_depth(stage, 3))


async def has_depth(stage: Stage, count: int) -> bool:
    return await stage.depth(stage.queues.main) == count


async def test_a_stop_is_not_missed_between_two_waits() -> None:
    deliveries = Deliveries()

    deliveries.stop()

    assert await asyncio.wait_for(deliveries.take(1, patience=60), SOON) == []


async def test_a_consumer_stops_while_it_waits_for_the_database(
    stage: Stage, database_link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It ends by itself, and not because its time is over.
    monkeypatch.setattr("shared.messaging.consumer._GRACE", 600.0)
    await stage.declare()
    async with Database.open(database_link.url, application_name="test") as database:
        task = asyncio.create_task(stage.consumer(database=database).run())
        first = an_event()
        await stage.send(body_of(first))
        await until(lambda: stage.has_effects(first.id))
        database_link.unplug()
        await stage.send(body_of(an_event()))
        await until(lambda: is_empty(stage))

        task.cancel()
        await asyncio.wait({task}, timeout=SOON)

    assert task.cancelled()
    await until(lambda: has_depth(stage, 1))


async def test_a_consumer_takes_nothing_while_the_database_is_away(
    stage: Stage, database_link: Link
) -> None:
    await stage.declare()
    event = an_event()
    await stage.send(body_of(event))
    database_link.unplug()
    async with (
        Database.open(database_link.url, application_name="test") as database,
        running(stage.consumer(database=database).run()),
    ):
        await until(lambda: database_link.refused)
        assert await has_depth(stage, 1)

        database_link.plug_in()
        await until(lambda: stage.has_effects(event.id))
