"""What operators can do about parked messages, and how a read model is rebuilt."""

import sys
from argparse import Namespace
from asyncio import subprocess
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.db import Connection
from shared.events.envelope import Event
from shared.events.patient import PatientUpdated
from shared.events.provider import ProviderDeleted
from shared.messaging.admin import Admin, Refused, masked, run
from shared.messaging.publisher import Publisher

from .stage import PAUSES, Stage, an_event, body_of, count_effect, running, until


class Desk(Admin):
    """The admin commands, with what they have written."""

    written: list[str]

    @property
    def said(self) -> str:
        text = "".join(self.written)
        self.written.clear()
        return text


@pytest.fixture
async def desk(stage: Stage) -> AsyncIterator[Desk]:
    written: list[str] = []
    databases = {stage.name: stage.database_url, "availability": stage.database_url}
    async with Publisher(stage.amqp_url, name="test") as publisher:
        listeners = {stage.name: [ProviderDeleted.type], "calendar-sync": [ProviderDeleted.type]}
        desk = Desk(stage.connection, publisher, databases, written.append, listeners)
        desk.written = written
        yield desk


async def park(stage: Stage, *bodies: bytes, pauses: tuple[float, ...] = ()) -> None:
    async def fail(_: Connection, event: Event[Any]) -> None:
        raise ValueError("Ada")

    await stage.declare()
    await stage.send(*bodies)
    async with running(stage.consumer({ProviderDeleted: fail}, pauses=pauses).run()):
        await until(lambda: stage.is_parked(len(bodies)))


async def test_a_replayed_message_takes_effect_with_a_fresh_counter(
    stage: Stage, desk: Desk
) -> None:
    attempts: list[int] = []

    async def fail_at_first(connection: Connection, event: Event[Any]) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError
        await count_effect(connection, event)

    events = [an_event() for _ in range(3)]
    await park(stage, *map(body_of, events), pauses=PAUSES)

    # Another failure would be one too many for a counter that had stayed.
    async with running(stage.consumer({ProviderDeleted: fail_at_first}).run()):
        await desk.replay(stage.name, None)
        await until(lambda: stage.has_effects(*(event.id for event in events)))

    assert desk.said == f"3 sent to {stage.name} again\n"
    assert await stage.depth(stage.queues.parked) == 0


async def test_one_message_can_be_replayed_and_the_others_stay(stage: Stage, desk: Desk) -> None:
    events = [an_event() for _ in range(3)]
    await park(stage, *map(body_of, events))
    shown = await parked_ids(desk, stage)

    await desk.replay(stage.name, [shown[1]])

    await until(lambda: stage.depth(stage.queues.main))
    assert await parked_ids(desk, stage) == [shown[0], shown[2]]


async def test_a_message_can_be_discarded(stage: Stage, desk: Desk) -> None:
    await park(stage, b"garbage", body_of(an_event()))
    shown = await parked_ids(desk, stage)

    await desk.discard(stage.name, [shown[0]])

    assert desk.said == f"1 discarded from {stage.name}\n"
    assert await parked_ids(desk, stage) == [shown[1]]


async def parked_ids(desk: Desk, stage: Stage) -> list[str]:
    desk.written.clear()
    await desk.show(stage.name, most=100, body=False)
    return [line.split()[0] for line in desk.said.splitlines()[:-1] if not line.startswith(" ")]


async def test_looking_at_parked_messages_never_wears_them_out(stage: Stage, desk: Desk) -> None:
    # RabbitMQ 4 drops a message after 20 deliveries when a queue sets no limit of its own.
    await park(stage, body_of(an_event()), body_of(an_event()))

    for _ in range(30):
        assert len(await parked_ids(desk, stage)) == 2


async def test_a_parked_message_is_shown_with_its_reason_and_without_personal_data(
    stage: Stage, desk: Desk
) -> None:
    patient = PatientUpdated(
        id=uuid4(),
        version=1,
        name="Ada Lovelace",
        email="ada@example.org",
        phone="+30 210 1234567",
        language="el",
        timezone="Europe/Athens",
    )
    await park(stage, body_of(patient))

    await desk.show(stage.name, most=10, body=True)

    said = desk.said
    assert str(patient.id) in said
    assert "no handler for patient.updated" in said
    assert "failed 1 times" in said
    assert "Europe/Athens" in said
    assert "Ada" not in said
    assert "ada@" not in said
    assert "1234567" not in said


def test_masking_keeps_ids_times_numbers_and_enumerations() -> None:
    value = {
        "id": "0197f6a0-0000-7000-8000-000000000000",
        "start": "2026-11-20T08:00:00Z",
        "date": "2026-11-20",
        "status": "held",
        "version": 3,
        "active": True,
        "none": None,
        "name": "held",
        "tags": ["a", 1],
        "inner": {"note": "x"},
    }

    assert masked(value) == value | {
        "date": "***",
        "name": "***",
        "tags": ["***", 1],
        "inner": {"note": "***"},
    }


async def test_the_overview_counts_queues_and_outboxes(stage: Stage, desk: Desk) -> None:
    await park(stage, body_of(an_event()), body_of(an_event()))
    await stage.send(body_of(an_event()))
    await stage.commit(an_event(), an_event(), an_event())

    await until(lambda: stage.depth(stage.queues.main))
    await desk.overview()

    lines = [line.split() for line in desk.said.splitlines()]
    assert [stage.name, "1", "0", "2"] in lines
    [outbox] = [line for line in lines if line[:1] == ["availability"]]
    assert outbox[1] == "3"
    assert 0 <= int(outbox[2]) < 60


async def test_republishing_rebuilds_one_read_model_and_spares_the_others(
    stage: Stage, desk: Desk
) -> None:
    other = f"{stage.name}-other"
    stage.extra_queues += [other, f"{other}.parked"]
    listeners = {stage.name: [ProviderDeleted.type], other: [ProviderDeleted.type]}
    order: list[UUID] = []

    async def note(connection: Connection, event: Event[Any]) -> None:
        order.append(event.data.id)
        await count_effect(connection, event)

    events = [an_event() for _ in range(30)]
    relay, consumer = stage.relay(listeners=listeners), stage.consumer({ProviderDeleted: note})
    async with running(relay.run(), consumer.run()):
        await stage.commit(*events)
        await until(lambda: stage.has_effects(*(event.id for event in events)))
        await until(stage.all_published)
        async with stage.database.transaction() as connection:
            await connection.execute("DELETE FROM effects")
        order.clear()

        await desk.republish("availability", stage.name, None)
        await until(lambda: stage.has_effects(*(event.id for event in events)))

    assert desk.said == f"30 events of availability sent to {stage.name}\n"
    assert order == [event.id for event in events]
    assert set((await stage.effects()).values()) == {1}
    assert await stage.depth(other) == 30


async def test_only_what_a_consumer_hears_is_republished(desk: Desk, stage: Stage) -> None:
    with pytest.raises(Refused, match="hears no event of notifications"):
        await desk.republish("notifications", stage.name, None)
    with pytest.raises(Refused, match=r"hears no provider\.updated of availability"):
        await desk.republish("availability", stage.name, ["provider.updated"])


async def test_a_missing_setting_is_refused_by_name(stage: Stage, desk: Desk) -> None:
    with pytest.raises(Refused, match="CALENDAR_SYNC_DATABASE_URL is not set"):
        await desk.republish("availability", "calendar-sync", None)
    with pytest.raises(Refused, match="AMQP_URL is not set"):
        await run(Namespace(command="list"), {}, print)


async def test_the_command_runs(stage: Stage) -> None:
    process = await subprocess.create_subprocess_exec(
        *(sys.executable, "-m", "shared.messaging.admin", "list"),
        env={"AMQP_URL": stage.amqp_url, "AVAILABILITY_DATABASE_URL": stage.database_url},
        stdout=subprocess.PIPE,
    )
    out, _ = await process.communicate()

    assert process.returncode == 0
    assert b"calendar-sync" in out
