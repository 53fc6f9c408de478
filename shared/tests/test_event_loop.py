"""An event loop that is held up shows."""

import asyncio
import time

from prometheus_client import REGISTRY

from shared.observability import watched_event_loop

SERIES = "event_loop_late_seconds_sum"


async def test_what_holds_the_loop_up_is_seen() -> None:
    before = REGISTRY.get_sample_value(SERIES) or 0.0

    async with watched_event_loop(), asyncio.timeout(20):
        await asyncio.sleep(0)
        time.sleep(0.7)  # noqa: ASYNC251 -- the very fault that is watched for
        while (REGISTRY.get_sample_value(SERIES) or 0.0) == before:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert (REGISTRY.get_sample_value(SERIES) or 0.0) - before > 0.1
