"""What a consumer shows of its queues: parked messages, and since when nothing waits."""

from typing import Any

from prometheus_client import REGISTRY

from shared.db import Connection
from shared.events.envelope import Event
from shared.events.provider import ProviderDeleted

from .stage import Stage, an_event, body_of, running, until


def gauge(stage: Stage, name: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"queue": stage.name})


async def test_parked_messages_show_until_somebody_has_seen_to_them(stage: Stage) -> None:
    async def fail(_: Connection, __: Event[Any]) -> None:
        raise LookupError

    await stage.declare()
    await stage.send(body_of(an_event()))

    async with running(stage.consumer({ProviderDeleted: fail}).run()):
        await until(lambda: gauge(stage, "queue_parked") == 1, limit=60)
        await stage.take(1, stage.queues.parked)
        await until(lambda: gauge(stage, "queue_parked") == 0, limit=60)

    assert gauge(stage, "queue_depth") == 0
    assert gauge(stage, "queue_retrying") == 0


async def test_a_queue_in_which_messages_wait_is_not_level(stage: Stage) -> None:
    async with running(stage.consumer().run()):
        level = await until(lambda: gauge(stage, "queue_level_timestamp_seconds"), limit=60)

    await stage.send(*(body_of(an_event()) for _ in range(3)))

    assert await stage.depth(stage.queues.main) == 3
    assert gauge(stage, "queue_level_timestamp_seconds") == level
