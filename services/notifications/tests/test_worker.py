"""Which channels are on, and what the worker is made of."""

import json
from contextlib import AsyncExitStack
from typing import Any

import pytest

from notifications.settings import NotificationsSettings
from notifications.worker import build, channels_that_are_on
from shared.db import Database
from shared.observability import configure_logging
from shared.worker import Worker


async def test_the_worker_is_complete(database: Database, settings_values: dict[str, Any]) -> None:
    settings = NotificationsSettings(**settings_values)

    async with AsyncExitStack() as resources:
        loops = await build(Worker("notifications", settings, database, resources))

    assert {"relay", "consumer", "sender", "stalled", "expired"} <= loops.keys()


def test_a_channel_without_settings_is_off_and_says_so(
    settings_values: dict[str, Any], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    configure_logging("notifications", "INFO")

    assert list(channels_that_are_on(NotificationsSettings(**settings_values))) == []

    [line] = map(json.loads, capfdbinary.readouterr().out.splitlines())
    assert (line["event"], line["channel"]) == ("channel_off", "email")
