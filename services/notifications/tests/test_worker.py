"""Which channels are on, and what the worker is made of."""

from contextlib import AsyncExitStack
from pathlib import Path
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


async def test_a_channel_without_settings_is_off_and_says_so(
    database: Database, settings_values: dict[str, Any]
) -> None:
    async with AsyncExitStack() as resources:
        with capture_logs() as lines:
            settings = NotificationsSettings(**settings_values)
            await build(Worker("notifications", settings, database, resources))

    off = [(line["channel"], line["missing"]) for line in lines if line["event"] == "channel_off"]
    assert off == [
        ("email", "SMTP_URL"),
        ("sms", "TWILIO_ACCOUNT_SID"),
        ("push", "FCM_SERVICE_ACCOUNT"),
    ]
    assert metrics.CHANNEL_ON.labels("email")._value.get() == 0
    assert metrics.CHANNEL_ON.labels("in_app")._value.get() == 1


async def test_a_channel_with_settings_is_on(database: Database, account_file: Path) -> None:
    settings = NotificationsSettings(
        **SETTINGS,
        smtp_url="smtp://localhost:1025",
        mail_from="a@medic.example",
        twilio_account_sid="AC" + "0" * 32,
        twilio_auth_token="a token",
        twilio_from="+15005550006",
        fcm_service_account=account_file,
    )

    on = [channel.name for channel in channels_that_are_on(settings, database)]

    assert on == ["in_app", "email", "sms", "push"]
