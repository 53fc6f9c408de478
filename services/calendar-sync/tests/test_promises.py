"""What the OpenAPI document says is all that ever happens."""

from typing import Any
from uuid import uuid4

from calendar_sync.app import make_app
from calendar_sync.settings import CalendarSyncSettings
from shared.testing.promises import broken_promises
from shared.testing.tokens import MakeToken


def test_the_api_keeps_its_promises(settings_values: dict[str, Any], make_token: MakeToken) -> None:
    secret = "a-secret-of-feed-links-for-tests-only"
    app = make_app(CalendarSyncSettings(**settings_values, calendar_link_secret=secret))
    headers = {"Authorization": f"Bearer {make_token('admin', uuid4())}"}

    assert broken_promises(app, headers=headers, examples=5) == []
