"""What the API says of itself, and what it needs to start."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from calendar_sync.app import make_app
from calendar_sync.settings import CalendarSyncSettings

FEED = "/v1/providers/{providerId}/calendar-feed"
LINKED = "/v1/calendar-feeds/{token}.ics"
FILE = "/v1/appointments/{appointmentId}/calendar.ics"
LINKS = f"{FEED}/links"
CONSENTED = "/v1/calendar-connections/oauth/{kind}/callback"

Json = dict[str, Any]


@pytest.fixture
def values(jwks_file: Path) -> Json:
    """Settings of a service whose database is never asked."""
    return {
        "database_url": "postgresql://nobody@127.0.0.1:1/nothing",
        "amqp_url": "amqp://nobody@127.0.0.1:1/",
        "auth_issuer": "https://issuer.test",
        "auth_audience": "medic",
        "auth_jwks": str(jwks_file),
        "service_secret": "a-secret-between-services-for-tests-only",
        "calendar_link_secret": "a-secret-of-feed-links-for-tests-only",
        "calendar_keys": "test:dGVzdC1rZXktdGVzdC1rZXktdGVzdC1rZXktdGVzdC0=",
    }


@pytest.fixture
def paths(values: Json) -> Json:
    found: Json = make_app(CalendarSyncSettings(**values)).openapi()["paths"]
    return found


def codes(operation: Json) -> dict[str, set[str]]:
    """The documented codes of refusals by status."""
    return {
        str(status): set(response["content"]["application/problem+json"]["examples"])
        for status, response in operation["responses"].items()
        if "application/problem+json" in response.get("content", {})
    }


def test_calendar_files_are_documented_as_such(paths: Json) -> None:
    for path in (FEED, LINKED, FILE):
        assert paths[path]["get"]["responses"]["200"]["content"].keys() == {"text/calendar"}


def test_an_unchanged_feed_is_documented(paths: Json) -> None:
    for path in (FEED, LINKED):
        assert "304" in paths[path]["get"]["responses"]


def test_refusals_are_documented(paths: Json) -> None:
    assert "appointment_not_found" in codes(paths[FILE]["get"])["404"]
    assert "provider_not_found" in codes(paths[FEED]["get"])["404"]
    assert "calendar_feed_not_found" in codes(paths[LINKED]["get"])["404"]
    assert "too_many_feed_links" in codes(paths[LINKS]["post"])["409"]
    assert "feed_link_not_found" in codes(paths[f"{LINKS}/{{linkId}}"]["delete"])["404"]


def test_only_what_has_a_secret_of_its_own_needs_no_access_token(paths: Json) -> None:
    without = [
        path
        for path, operations in paths.items()
        for operation in operations.values()
        if "security" not in operation
    ]

    webhooks = {each for each in without if each.startswith("/v1/webhooks/calendar/")}
    assert set(without) - webhooks == {LINKED, CONSENTED}
    assert len(webhooks) == 3


@pytest.mark.parametrize("secret", [None, "short"])
def test_without_a_secret_for_links_nothing_starts(values: Json, secret: str | None) -> None:
    values["calendar_link_secret"] = secret

    with pytest.raises(ValidationError) as refusal:
        CalendarSyncSettings(**values)

    assert "calendar_link_secret" in str(refusal.value)
