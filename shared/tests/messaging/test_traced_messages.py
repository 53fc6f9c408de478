"""One trace from what has caused an event to what is done with it in another service."""

import asyncio
from typing import Any

import orjson

from shared.db import Connection
from shared.events.envelope import Event
from shared.events.provider import ProviderDeleted
from shared.observability import begin, current_traceparent, story, within
from shared.testing.spans import recorded

from .stage import Stage, an_event, running, until


async def test_cause_sending_and_handling_are_one_trace(stage: Stage) -> None:
    inside: list[str | None] = []

    async def handle(connection: Connection, event: Event[Any]) -> None:
        inside.append(current_traceparent())

    with recorded() as seen:
        async with running(stage.relay().run(), stage.consumer({ProviderDeleted: handle}).run()):
            with story("request", "server"):
                await stage.commit(an_event())
            await until(lambda: len(seen.spans) == 3)  # the last two end in any order

    request = seen.one("request")
    send, process = seen.one("send provider.deleted"), seen.one("process provider.deleted")
    assert (send.kind, process.kind) == ("producer", "consumer")
    assert (send.parent_id, process.parent_id) == (request.span_id, send.span_id)
    assert {send.trace_id, process.trace_id} == {request.trace_id}
    assert inside == [f"00-{process.trace_id}-{process.span_id}-01"]
    assert send.attributes["messaging.destination.name"] == stage.name
    assert send.attributes["messaging.operation.type"] == "send"
    assert process.attributes["messaging.operation.type"] == "process"
    assert send.attributes["messaging.message.id"] == process.attributes["messaging.message.id"]


async def test_what_is_not_sampled_is_sent_and_handled_without_spans(stage: Stage) -> None:
    event = an_event()
    with recorded("parentbased_always_on") as seen:
        async with running(stage.relay().run(), stage.consumer().run()):
            with story("request", traceparent=f"00-{'a' * 32}-{'b' * 16}-00"):
                await stage.commit(event)
            await until(lambda: stage.has_effects(event.id))

    assert seen.spans == []


async def test_without_telemetry_the_cause_travels_as_it_was_written(stage: Stage) -> None:
    await stage.declare()
    with story("request", traceparent=f"00-{'a' * 32}-{'b' * 16}-01"):
        cause = current_traceparent()
        await stage.commit(an_event())

    async with running(stage.relay().run()):
        [message] = await stage.take(1)

    assert orjson.loads(message.body)["traceparent"] == cause


async def test_events_handled_together_belong_to_their_own_stories(stage: Stage) -> None:
    seen_by: dict[str, str | None] = {}

    async def handle(connection: Connection, event: Event[Any]) -> None:
        seen_by[event.subject] = current_traceparent()

    events = [an_event() for _ in range(20)]
    causes: dict[str, str] = {}
    with recorded() as seen:
        for event in events:
            with story("request"):
                causes[str(event.id)] = str(current_traceparent()).split("-")[1]
                await stage.commit(event)
        async with running(stage.relay().run(), stage.consumer({ProviderDeleted: handle}).run()):
            await until(lambda: len(seen.named("process provider.deleted")) == len(events))

    found = {subject: str(context).split("-")[1] for subject, context in seen_by.items()}
    assert found == causes
    assert len(set(causes.values())) == len(events)


async def test_an_event_that_cannot_be_handled_fails_in_its_trace(stage: Stage) -> None:
    async def handle(connection: Connection, event: Event[Any]) -> None:
        raise ValueError("Maria")

    with recorded() as seen:
        async with running(stage.relay().run(), stage.consumer({ProviderDeleted: handle}).run()):
            with story("request"):
                await stage.commit(an_event())
            await until(stage.is_parked)
            await until(lambda: len(seen.named("process provider.deleted")) == 3)

    failed = seen.named("process provider.deleted")
    assert all(span.has_failed for span in failed)
    assert {span.attributes["error.type"] for span in failed} == {"ValueError"}
    assert len({span.trace_id for span in seen.spans}) == 1
    assert "Maria" not in seen.told()


async def test_an_event_that_is_not_taken_fails_in_its_trace(stage: Stage) -> None:
    with recorded() as seen:
        relay = stage.relay(amqp_url="amqp://nobody@127.0.0.1:1/")
        async with running(relay.run()):
            with story("request"):
                await stage.commit(an_event())
            await until(lambda: seen.named("send provider.deleted"))

    assert seen.named("send provider.deleted")[0].has_failed


async def test_tasks_side_by_side_keep_their_own_spans() -> None:
    async def work(number: int) -> None:
        with story(f"outer{number}"):
            await asyncio.sleep(0)
            inner = begin("inner", traceparent=current_traceparent())
            with within(inner):
                await asyncio.sleep(0)
            inner.end()

    with recorded() as seen:
        await asyncio.gather(*(work(number) for number in range(20)))

    for number in range(20):
        outer = seen.one(f"outer{number}")
        assert [span.name for span in seen.of_trace(outer.trace_id).spans] == [
            "inner",
            f"outer{number}",
        ]
