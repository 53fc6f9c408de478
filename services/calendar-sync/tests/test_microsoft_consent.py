"""A Microsoft 365 calendar is connected by consent, from the API to the worker's first visit."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from calendar_sync.app import make_app
from calendar_sync.calendars.kinds import Kinds
from calendar_sync.settings import CalendarSyncSettings
from calendar_sync.sync.visit import Visits
from calendar_sync.sync.visitor import Visitor
from shared.db import Database
from shared.events.provider import ProviderUpdated
from shared.http import AsyncClient

from .conftest import OWN_SETTINGS, PROVIDER, Tell
from .graph.access import CLIENT_ID, CLIENT_SECRET
from .graph.mailbox import Mailbox
from .graph.server import GraphDouble
from .practice import HOST, POLL, in_days

CONNECTIONS = f"/v1/providers/{PROVIDER}/calendar-connections"


@pytest.fixture
async def graph() -> AsyncIterator[GraphDouble]:
    async with GraphDouble.open() as double:
        yield double


@pytest.fixture
def mailbox(graph: GraphDouble) -> Mailbox:
    return graph.new_mailbox()


@pytest.fixture
def settings(settings_values: dict[str, Any], graph: GraphDouble) -> CalendarSyncSettings:
    login_url, _, tenant = graph.login_url.rpartition("/")
    own = OWN_SETTINGS | {
        "microsoft_client_id": CLIENT_ID,
        "microsoft_client_secret": CLIENT_SECRET,
        "microsoft_tenant": tenant,
        "microsoft_login_url": login_url,
        "microsoft_graph_url": graph.url,
    }
    return CalendarSyncSettings(**settings_values | own)


@pytest.fixture
def app(settings: CalendarSyncSettings) -> FastAPI:
    return make_app(settings)


async def test_a_mailbox_is_connected_and_visited(
    client: AsyncClient,
    provider: dict[str, str],
    tell: Tell,
    the_provider: ProviderUpdated,
    graph: GraphDouble,
    mailbox: Mailbox,
    settings: CalendarSyncSettings,
    database: Database,
) -> None:
    await tell(the_provider)
    mailbox.add(in_days(3))
    start = await client.post(f"{CONNECTIONS}/oauth/microsoft/start", headers=provider)
    asked = dict(parse_qsl(urlsplit(start.json()["authorizationUrl"]).query))
    code = graph.access.consent(
        mailbox, challenge=asked["code_challenge"], redirect_uri=asked["redirect_uri"]
    )
    back = f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    answer = await client.get(back)

    assert answer.status_code == 200, answer.text
    (connection,) = (await client.get(CONNECTIONS, headers=provider)).json()["items"]
    assert (connection["kind"], connection["account"]) == ("microsoft", mailbox.name)
    async with Kinds.open(settings) as kinds:
        visits = Visits(database, kinds.by_name, settings.vault, HOST, POLL)
        visitor = Visitor(database, visits, 1)
        await visitor.tick()
        await visitor.idle()
    (connection,) = (await client.get(CONNECTIONS, headers=provider)).json()["items"]
    assert (connection["health"], connection["lastError"]) == ("healthy", None)
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM external_busy_times") == 1


@pytest.mark.parametrize("given", ["microsoft_client_id", "microsoft_client_secret"])
def test_half_a_registration_does_not_start(settings_values: dict[str, Any], given: str) -> None:
    with pytest.raises(ValidationError, match="microsoft_client_id"):
        CalendarSyncSettings(**settings_values | OWN_SETTINGS | {given: "x"})


def test_a_tenant_is_no_path(settings_values: dict[str, Any]) -> None:
    for tenant in ("../common", "", "a/b", "a?b"):
        with pytest.raises(ValidationError, match="microsoft_tenant"):
            CalendarSyncSettings(**settings_values | OWN_SETTINGS | {"microsoft_tenant": tenant})
