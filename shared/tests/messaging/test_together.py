"""A handler of several events at once keeps every promise that is made for one event."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from shared.db import Connection, Database
from shared.events.envelope import Event, EventData
from shared.events.patient import PatientDeleted
from shared.events.provider import ProviderDeleted
from shared.messaging import AllTogether, InHand
from shared.messaging.handling import Handling
from shared.observability import begin, current_traceparent, story, within
from shared.testing.spans import recorded

from .link import Link
from .stage import Stage, an_event, body_of, count_effect, running, until


class Noting:
    """Counts the effects of what it is given, and remembers how it was given."""

    def __init__(self) -> None:
        self.given: list[list[UUID]] = []
        self.handler = AllTogether(self.handle)

    async def handle(self, connection: Connection, taken: Sequence[InHand[Any]]) -> None:
        self.given.append([each.event.data.id for each in taken])
        for each in taken:
            await count_effect(connection, each.event)


async def is_empty(stage: Stage) -> bool:
    return await stage.depth(stage.queues.main) == 0


async def test_what_waits_is_given_together_and_in_order(stage: Stage) -> None:
    async def note_when_all_have_come(connection: Connection, taken: Sequence[InHand[Any]]) -> None:
        if noting.given:  # the first one is taken alone
            await until(lambda: is_empty(stage))
        await noting.handle(connection, taken)

    await stage.declare()
    noting, events = Noting(), [an_event() for _ in range(40)]
    await stage.send(*map(body_of, events))

    handlers = {ProviderDeleted: AllTogether(note_when_all_have_come)}
    async with running(stage.consumer(handlers).run()):
        await until(lambda: stage.has_effects(*(event.id for event in events)))

    assert len(noting.given) <= 3
    assert [id_ for ids in noting.given for id_ in ids] == [event.id for event in events]


async def test_of_copies_one_is_given(database: Database) -> None:
    noting, one, other = Noting(), in_hand(an_event()), in_hand(an_event())
    handlers = {ProviderDeleted.type: noting.handler}
    handling = Handling("test", handlers, database, timeout=60, batch_timeout=60)

    assert await handling.together([one, one, other, one])
    assert await handling.together([other, one])

    assert noting.given == [[one.event.data.id, other.event.data.id]]


async def test_one_that_fails_is_parked_alone(stage: Stage) -> None:
    async def refuse_bad_ones(connection: Connection, taken: Sequence[InHand[Any]]) -> None:
        for each in taken:
            await count_effect(connection, each.event)
        if any(each.event.data.version == 2 for each in taken):
            raise ValueError

    await stage.declare()
    good = [an_event() for _ in range(30)]
    await stage.send(*map(body_of, [*good[:10], an_event(version=2), *good[10:]]))

    # Without a single pause: whoever is put aside is parked.
    handlers = {ProviderDeleted: AllTogether(refuse_bad_ones)}
    async with running(stage.consumer(handlers, pauses=()).run()):
        await until(stage.is_parked)
        await until(lambda: stage.has_effects(*(event.id for event in good)))

    assert await stage.depth(stage.queues.parked) == 1
    assert await stage.effects() == {event.id: 1 for event in good}


async def test_nothing_is_acknowledged_before_all_of_it_is_committed(
    stage: Stage, broker_link: Link
) -> None:
    async def lose_the_first_batch(connection: Connection, taken: Sequence[InHand[Any]]) -> None:
        for each in taken:
            await count_effect(connection, each.event)
        if not batches and taken[0].event.data.id == events[1].id:
            await until(lambda: is_empty(stage))  # so that the next ones come together
        if len(taken) > 1 and not batches:
            batches.append(taken)
            # What has been acknowledged by now has arrived at the broker.
            assert await stage.exists(stage.queues.main)
            broker_link.cut()
            raise ConnectionError

    batches: list[object] = []
    await stage.declare()
    events = [an_event() for _ in range(40)]
    await stage.send(*map(body_of, events))
    handlers = {ProviderDeleted: AllTogether(lose_the_first_batch)}
    async with running(stage.consumer(handlers, amqp_url=broker_link.url).run()):
        await until(lambda: stage.has_effects(*(event.id for event in events)))

    assert batches
    assert await stage.effects() == {event.id: 1 for event in events}


async def test_each_belongs_to_its_own_story(stage: Stage) -> None:
    seen_by: dict[UUID, str | None] = {}

    async def look(connection: Connection, taken: Sequence[InHand[Any]]) -> None:
        for each in taken:
            with within(each.context):
                seen_by[each.event.data.id] = current_traceparent()

    events, causes = [an_event() for _ in range(20)], {}
    with recorded() as seen:
        for event in events:
            with story("request"):
                causes[event.id] = str(current_traceparent()).split("-")[1]
                await stage.commit(event)
        handlers = {ProviderDeleted: AllTogether(look)}
        async with running(stage.relay().run(), stage.consumer(handlers).run()):
            await until(lambda: len(seen.named("process provider.deleted")) == len(events))

    assert {id_: str(found).split("-")[1] for id_, found in seen_by.items()} == causes


async def test_a_batch_that_fails_leaves_no_failure_in_the_traces_of_the_others(
    stage: Stage,
) -> None:
    async def refuse_many(connection: Connection, taken: Sequence[InHand[Any]]) -> None:
        batches.append(len(taken))
        if taken[0].event.data.id == events[1].id:  # all have come, so the next ones come together
            await until(stage.all_published)
            await until(lambda: is_empty(stage))
        if len(taken) > 1:
            raise ValueError

    batches: list[int] = []
    events = [an_event() for _ in range(20)]
    with recorded() as seen:
        with story("request"):
            await stage.commit(*events)
        handlers = {ProviderDeleted: AllTogether(refuse_many)}
        async with running(stage.relay().run(), stage.consumer(handlers).run()):
            await until(lambda: len(seen.named("process provider.deleted")) == len(events))

    assert max(batches) > 1
    assert not [span for span in seen.named("process provider.deleted") if span.has_failed]


async def test_events_of_other_handlers_keep_their_place(database: Database) -> None:
    order: list[list[UUID]] = []

    async def many(connection: Connection, taken: Sequence[InHand[Any]]) -> None:
        order.append([each.event.id for each in taken])

    async def one(connection: Connection, event: Event[Any]) -> None:
        order.append([event.id])

    handlers = {ProviderDeleted.type: AllTogether(many), PatientDeleted.type: one}
    handling = Handling("test", handlers, database, timeout=60, batch_timeout=60)
    a, b, c, d, e, f = [
        in_hand(kind(id=uuid4(), version=1))
        for kind in [ProviderDeleted] * 2 + [PatientDeleted] * 2 + [ProviderDeleted] * 2
    ]

    assert await handling.together([a, b, c, d, e, f])

    assert order == [
        [a.event.id, b.event.id],
        [c.event.id],
        [d.event.id],
        [e.event.id, f.event.id],
    ]


def in_hand(data: EventData) -> InHand[Any]:
    envelope = {"id": uuid4(), "type": data.type, "source": data.source, "subject": data.subject}
    moment = {"sequence": data.sequence, "time": "2026-01-01T00:00:00Z"}
    event: Event[Any] = Event.model_validate(envelope | moment | {"data": data})
    return InHand(event, begin("a message"))
