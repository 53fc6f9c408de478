"""Connections through the API, to a real server: made, shown, changed and ended by their owner."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI

from calendar_sync.calendars.kinds import Kinds
from calendar_sync.sync.visit import Visits
from calendar_sync.sync.visitor import Visitor
from shared.db import Database
from shared.events.provider import ProviderUpdated
from shared.http import AsyncClient

from .conftest import PROVIDER, Tell
from .dav_servers import PASSWORD, USER, DavServer, radicale

CONNECTIONS = f"/v1/providers/{PROVIDER}/calendar-connections"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    with radicale(tmp_path_factory.mktemp("dav")) as server:
        yield server


@pytest.fixture
def calendar(server: DavServer) -> str:
    return server.new_calendar()


@pytest.fixture
async def visit(app: FastAPI, database: Database) -> AsyncIterator[Callable[[], Any]]:
    settings = app.state.settings
    async with Kinds.open(settings) as kinds:
        visits = Visits(
            database, kinds.by_name, settings.vault, settings.public_host, timedelta(minutes=5)
        )
        visitor = Visitor(database, visits, 5)

        async def visit() -> None:
            async with database.autocommit() as db:
                await db.execute("UPDATE connections SET next_visit_at = now()")
            await visitor.tick()
            await visitor.idle()

        yield visit


def account(server: DavServer, path: str = "", **changes: Any) -> dict[str, Any]:
    values = {
        "kind": "caldav",
        "url": server.url + path,
        "username": USER,
        "password": PASSWORD,
    }
    return values | changes


async def connected(client: AsyncClient, server: DavServer, owner: dict[str, str]) -> Any:
    answer = await client.post(CONNECTIONS, json=account(server), headers=owner)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_no_secret_is_ever_shown_or_kept_in_the_clear(
    client: AsyncClient,
    server: DavServer,
    calendar: str,
    provider: dict[str, str],
    the_provider: ProviderUpdated,
    tell: Tell,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await tell(the_provider)
    headers = provider | {"Idempotency-Key": "one"}
    made = await client.post(CONNECTIONS, json=account(server), headers=headers)
    again = await client.post(CONNECTIONS, json=account(server), headers=headers)
    listed = await client.get(CONNECTIONS, headers=provider)

    assert (made.status_code, again.content) == (201, made.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(listed.json()["items"]) == 1
    for answer in (made, listed):
        assert PASSWORD not in answer.text
        assert "credentials" not in answer.text
    async with database.reading() as db:
        kept = await db.fetchval("SELECT string_agg(connections::text, '') FROM connections")
        answers = await db.fetchval("SELECT string_agg(i::text, '') FROM idempotency_keys i")
    assert PASSWORD not in kept + answers + caplog.text


async def test_an_account_is_connected_once(
    client: AsyncClient,
    server: DavServer,
    calendar: str,
    provider: dict[str, str],
    the_provider: ProviderUpdated,
    tell: Tell,
) -> None:
    await tell(the_provider)
    made = await connected(client, server, provider)

    answer = await client.post(CONNECTIONS, json=account(server, calendar), headers=provider)

    assert (answer.status_code, answer.json()["code"]) == (409, "calendar_already_connected")
    assert answer.json()["connectionId"] == made["id"]


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"password": "wrong"}, "password", "LOGIN_REFUSED"),
        ({"url": "https://10.0.0.1/"}, "url", "NOT_PUBLIC"),
        ({"url": "http://calendar.example/"}, "url", "NOT_HTTPS"),
        ({"url": "https://[::ffff:127.0.0.1]/"}, "url", "NOT_PUBLIC"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "url", "NOT_PUBLIC"),
        ({"url": "file:///etc/passwd"}, "url", "NOT_A_URL"),
        ({"url": "x\r\ny"}, "url", "FORBIDDEN_CHARACTER"),
    ],
)
async def test_what_cannot_be_opened_is_not_kept(
    client: AsyncClient,
    server: DavServer,
    calendar: str,
    provider: dict[str, str],
    the_provider: ProviderUpdated,
    tell: Tell,
    changes: dict[str, str],
    path: str,
    code: str,
) -> None:
    await tell(the_provider)

    answer = await client.post(CONNECTIONS, json=account(server, **changes), headers=provider)

    assert answer.status_code == 422, answer.text
    errors = [
        (error["path"].removeprefix("caldav."), error["code"]) for error in answer.json()["errors"]
    ]
    assert errors == [(path, code)]
    assert (await client.get(CONNECTIONS, headers=provider)).json() == {"items": []}


async def test_a_server_that_does_not_answer(
    client: AsyncClient,
    server: DavServer,
    provider: dict[str, str],
    the_provider: ProviderUpdated,
    tell: Tell,
) -> None:
    await tell(the_provider)
    body = account(server, url="http://127.0.0.1:9/")

    answer = await client.post(CONNECTIONS, json=body, headers=provider)

    assert (answer.status_code, answer.json()["code"]) == (503, "calendar_unreachable")
    assert int(answer.headers["Retry-After"]) > 0


async def test_others_see_nothing(
    client: AsyncClient,
    server: DavServer,
    calendar: str,
    provider: dict[str, str],
    as_user: Callable[[str, UUID], dict[str, str]],
    the_provider: ProviderUpdated,
    tell: Tell,
) -> None:
    await tell(the_provider)
    made = await connected(client, server, provider)
    path = f"{CONNECTIONS}/{made['id']}"
    other = uuid4()
    elsewhere = f"/v1/providers/{other}/calendar-connections/{made['id']}"

    for headers in (as_user("provider", other), as_user("patient", PROVIDER)):
        for method, where in (
            ("GET", CONNECTIONS),
            ("GET", path),
            ("DELETE", path),
            ("POST", f"{path}/resync"),
        ):
            assert (await client.request(method, where, headers=headers)).status_code == 404
        answer = await client.post(CONNECTIONS, json=account(server), headers=headers)
        assert answer.status_code == 404
    mine = await client.get(elsewhere, headers=as_user("provider", other))
    assert (mine.status_code, mine.json()["code"]) == (404, "calendar_connection_not_found")


async def test_only_what_is_there_can_be_chosen(
    client: AsyncClient,
    server: DavServer,
    calendar: str,
    provider: dict[str, str],
    the_provider: ProviderUpdated,
    tell: Tell,
) -> None:
    await tell(the_provider)
    made = await connected(client, server, provider)
    choice = {"busyCalendarIds": [str(uuid4())], "targetCalendarId": str(uuid4())}

    answer = await client.patch(f"{CONNECTIONS}/{made['id']}", json=choice, headers=provider)

    assert [(error["path"], error["code"]) for error in answer.json()["errors"]] == [
        ("busyCalendarIds.0", "UNKNOWN_CALENDAR"),
        ("targetCalendarId", "UNKNOWN_CALENDAR"),
    ]


async def test_a_broken_connection_is_mended_by_its_new_password(
    client: AsyncClient,
    server: DavServer,
    calendar: str,
    provider: dict[str, str],
    the_provider: ProviderUpdated,
    tell: Tell,
    visit: Callable[[], Any],
    database: Database,
) -> None:
    await tell(the_provider)
    made = await connected(client, server, provider)
    path = f"{CONNECTIONS}/{made['id']}"
    async with database.autocommit() as db:
        await db.execute(
            "UPDATE connections SET state = 'broken', broken_because = 'login_refused'"
        )
    refused = await client.post(f"{path}/resync", headers=provider)
    wrong = await client.put(f"{path}/password", json={"password": "x"}, headers=provider)

    right = await client.put(f"{path}/password", json={"password": PASSWORD}, headers=provider)
    await visit()

    assert (refused.status_code, refused.json()["code"]) == (409, "calendar_connection_broken")
    assert (wrong.status_code, right.status_code) == (422, 200)
    assert (await client.get(path, headers=provider)).json()["health"] == "healthy"
