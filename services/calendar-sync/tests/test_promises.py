"""What the OpenAPI document says is all that ever happens."""

from typing import Any
from uuid import uuid4

from calendar_sync.app import make_app
from calendar_sync.settings import CalendarSyncSettings
from shared.testing.promises import broken_promises
from shared.testing.tokens import MakeToken

from .conftest import OWN_SETTINGS


def test_the_api_keeps_its_promises(settings_values: dict[str, Any], make_token: MakeToken) -> None:
    google = {"google_client_id": "a-client", "google_client_secret": "a-secret"}
    app = make_app(CalendarSyncSettings(**settings_values, **OWN_SETTINGS, **google))
    headers = {"Authorization": f"Bearer {make_token('admin', uuid4())}"}

    assert broken_promises(app, headers=headers, examples=5) == []
