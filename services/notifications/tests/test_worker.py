"""Which channels are on, and what the worker is made of."""

from contextlib import AsyncExitStack
from typing import Any

from structlog.testing import capture_logs

from notifications import metrics
from notifications.settings import NotificationsSettings
from notifications.worker import build, channels_that_are_on
from shared.db import Database
from shared.worker import Worker

from .builders import SETTINGS


async def test_the_worker_is_complete(database: Database, settings_values: dict[str, Any]) -> None:
    settings = NotificationsSettings(**settings_values)

    async with AsyncExitStack() as resources:
        loops = await build(Worker("notifications", settings, database, resources))

    assert {
        "relay",
        "consumer",
        "sender",
        "stalled",
        "expired",
        "realtime consumer",
    } <= loops.keys()


def test_a_channel_without_settings_is_off_and_says_so() -> None:
    with capture_logs() as lines:
        on = list(channels_that_are_on(NotificationsSettings(**SETTINGS)))

    assert on == []
    assert [(line["event"], line["channel"]) for line in lines] == [("channel_off", "email")]
    assert metrics.CHANNEL_ON.labels("email")._value.get() == 0


def test_a_channel_with_settings_is_on() -> None:
    settings = NotificationsSettings(
        **SETTINGS, smtp_url="smtp://localhost:1025", mail_from="a@medic.example"
    )

    assert [channel.name for channel in channels_that_are_on(settings)] == ["email"]
    assert metrics.CHANNEL_ON.labels("email")._value.get() == 1
