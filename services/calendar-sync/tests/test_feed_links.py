"""Secret links: shown once, stored as hashes, good for one feed, and revocable."""

import asyncio
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from calendar_sync.links import MOST_LINKS
from shared.db import Database
from shared.events.booking import AppointmentEvent
from shared.events.provider import ProviderDeleted, ProviderUpdated
from shared.http import AsyncClient, Response
from shared.ids import new_id

AnAppointment = Callable[..., AppointmentEvent]
AsUser = Callable[[str, UUID], dict[str, str]]
Headers = dict[str, str]
Tell = Callable[..., Awaitable[None]]


@pytest.fixture
async def path(tell: Tell, the_provider: ProviderUpdated) -> str:
    """Where the links of a known provider are."""
    await tell(the_provider)
    return f"/v1/providers/{the_provider.id}/calendar-feed/links"


def path_of(url: str) -> str:
    origin = "https://clinic.example"
    assert url.startswith(f"{origin}/v1/calendar-feeds/")
    assert url.endswith(".ics")
    return url.removeprefix(origin)


def token_in(url: str) -> str:
    return url.rpartition("/")[2].removesuffix(".ics")


async def dump(database: Database) -> str:
    """Everything that the database holds, as text; bytes are in hexadecimal."""
    async with database.reading() as db:
        tables = await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = [await db.fetch(f"SELECT t::text FROM {name} AS t") for (name,) in tables]
        bodies = await db.fetch("SELECT convert_from(body, 'UTF8') FROM idempotency_keys")
    return repr([[tuple(row) for row in rows] for rows in (*found, bodies)])


async def test_a_link_opens_the_feed_without_a_bearer_token(
    client: AsyncClient,
    tell: Tell,
    path: str,
    provider: Headers,
    the_provider: ProviderUpdated,
    an_appointment: AnAppointment,
) -> None:
    await tell(an_appointment(start=datetime.now(UTC) + timedelta(days=1)))

    made = await client.post(path, headers=provider)
    linked = await client.get(path_of(made.json()["url"]))

    assert made.status_code == 201
    assert made.json().keys() == {"id", "url", "label", "detailed", "createdAt"}
    own = await client.get(f"/v1/providers/{the_provider.id}/calendar-feed", headers=provider)
    assert linked.status_code == 200
    assert linked.headers["content-type"] == "text/calendar; charset=utf-8"
    assert linked.headers["cache-control"] == "private, no-store"
    assert (linked.content, linked.headers["etag"]) == (own.content, own.headers["etag"])


async def test_a_linked_feed_that_is_known_is_not_sent_again(
    client: AsyncClient, path: str, provider: Headers
) -> None:
    url = path_of((await client.post(path, headers=provider)).json()["url"])
    etag = (await client.get(url)).headers["etag"]

    assert (await client.get(url, headers={"If-None-Match": etag})).status_code == 304


async def test_a_token_has_many_random_bits_and_is_never_the_same(
    client: AsyncClient, path: str, provider: Headers
) -> None:
    made = [await client.post(path, headers=provider) for _ in range(5)]

    tokens = {token_in(each.json()["url"]) for each in made}
    assert len(tokens) == 5
    assert {len(token) for token in tokens} == {32}


async def test_a_token_is_stored_nowhere(
    client: AsyncClient, database: Database, path: str, provider: Headers
) -> None:
    keyed = provider | {"Idempotency-Key": "one"}
    made = [
        (await client.post(path, headers=headers, json={"label": "my phone"})).json()
        for headers in (provider, keyed)
    ]

    stored = await dump(database)

    assert made[1]["id"] in stored
    assert "my phone" in stored
    for token in (token_in(link["url"]) for link in made):
        assert token not in stored
        assert token.encode().hex() not in stored
        assert urlsafe_b64decode(token).hex() not in stored


async def test_links_are_listed_without_their_addresses(
    client: AsyncClient, path: str, provider: Headers
) -> None:
    first = (await client.post(path, headers=provider, json={"label": "my phone"})).json()
    second = (await client.post(path, headers=provider)).json()

    listed = await client.get(path, headers=provider)

    assert listed.json() == {
        "items": [
            {
                "id": first["id"],
                "label": "my phone",
                "detailed": False,
                "createdAt": first["createdAt"],
            },
            {
                "id": second["id"],
                "label": None,
                "detailed": False,
                "createdAt": second["createdAt"],
            },
        ]
    }


async def test_a_revoked_link_opens_nothing(
    client: AsyncClient, path: str, provider: Headers
) -> None:
    revoked, other = [(await client.post(path, headers=provider)).json() for _ in range(2)]

    first = await client.delete(f"{path}/{revoked['id']}", headers=provider)
    second = await client.delete(f"{path}/{revoked['id']}", headers=provider)

    assert (first.status_code, second.status_code) == (204, 204)
    assert (await client.get(path_of(revoked["url"]))).status_code == 404
    assert (await client.get(path_of(other["url"]))).status_code == 200
    listed = (await client.get(path, headers=provider)).json()["items"]
    assert [link["id"] for link in listed] == [other["id"]]


async def test_revoked_unknown_and_malformed_tokens_look_the_same(
    client: AsyncClient, path: str, provider: Headers
) -> None:
    made = (await client.post(path, headers=provider)).json()
    await client.delete(f"{path}/{made['id']}", headers=provider)
    tokens = [
        token_in(made["url"]),
        "A" * 32,
        "short",
        "x" * 3000,
        made["id"],
        "%F0%9F%8F%A5",
        "' OR 1=1 --",
    ]

    answers = [await client.get(f"/v1/calendar-feeds/{token}.ics") for token in tokens]

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["code"] for answer in answers} == {"calendar_feed_not_found"}
    assert len({answer.json()["detail"] for answer in answers}) == 1


async def test_an_access_token_opens_no_link_and_a_link_no_route(
    client: AsyncClient, path: str, provider: Headers, the_provider: ProviderUpdated
) -> None:
    token = token_in((await client.post(path, headers=provider)).json()["url"])
    bearer = provider["Authorization"].removeprefix("Bearer ")

    with_bearer = await client.get(f"/v1/calendar-feeds/{bearer}.ics")
    with_link = await client.get(
        f"/v1/providers/{the_provider.id}/calendar-feed",
        headers={"Authorization": f"Bearer {token}"},
    )

    assert (with_bearer.status_code, with_link.status_code) == (404, 401)


async def test_the_link_of_a_deleted_provider_opens_nothing(
    client: AsyncClient, tell: Tell, path: str, provider: Headers, the_provider: ProviderUpdated
) -> None:
    url = (await client.post(path, headers=provider)).json()["url"]

    await tell(ProviderDeleted(id=the_provider.id, version=2))

    assert (await client.get(path_of(url))).status_code == 404
    assert (await client.post(path, headers=provider)).status_code == 404
    assert (await client.get(path, headers=provider)).status_code == 404


async def test_only_the_provider_and_admins_have_links(
    client: AsyncClient,
    path: str,
    provider: Headers,
    the_provider: ProviderUpdated,
    as_user: AsUser,
) -> None:
    link = (await client.post(path, headers=provider)).json()
    own, other = the_provider.id, new_id()
    strangers = [("provider", other), ("patient", own), ("service", own)]

    refused = [await use_links(client, path, link["id"], as_user(*who)) for who in strangers]
    still_opens = (await client.get(path_of(link["url"]))).status_code
    allowed = await use_links(client, path, link["id"], as_user("admin", other))

    assert refused == [[404, 404, 404]] * len(strangers)
    assert still_opens == 200
    assert allowed == [200, 201, 204]


async def use_links(client: AsyncClient, path: str, link_id: str, caller: Headers) -> list[int]:
    """How listing, making and revoking are answered."""
    answers = [
        await client.get(path, headers=caller),
        await client.post(path, headers=caller),
        await client.delete(f"{path}/{link_id}", headers=caller),
    ]
    return [answer.status_code for answer in answers]


async def test_without_a_token_there_are_no_links(client: AsyncClient, path: str) -> None:
    answers = [
        await client.get(path),
        await client.post(path),
        await client.delete(f"{path}/{new_id()}"),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 401]


async def test_nobody_revokes_the_link_of_another_provider(
    client: AsyncClient,
    tell: Tell,
    path: str,
    provider: Headers,
    the_provider: ProviderUpdated,
    as_user: AsUser,
) -> None:
    other = new_id()
    await tell(the_provider.model_copy(update={"id": other}))
    link = (await client.post(path, headers=provider)).json()

    answer = await client.delete(
        f"/v1/providers/{other}/calendar-feed/links/{link['id']}",
        headers=as_user("provider", other),
    )

    assert answer.status_code == 404
    assert answer.json()["code"] == "feed_link_not_found"
    assert (await client.get(path_of(link["url"]))).status_code == 200


async def test_a_repeated_request_makes_one_link_and_shows_it_again(
    client: AsyncClient, path: str, provider: Headers
) -> None:
    keyed = provider | {"Idempotency-Key": "the same intent"}

    first, second = [await client.post(path, headers=keyed) for _ in range(2)]

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["content-type"] == "application/json"
    assert len((await client.get(path, headers=provider)).json()["items"]) == 1


async def test_a_provider_has_a_limited_number_of_links(
    client: AsyncClient, path: str, provider: Headers
) -> None:
    answers: list[Response] = await asyncio.gather(
        *(client.post(path, headers=provider) for _ in range(MOST_LINKS + 10))
    )

    made = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code == 409]
    assert (len(made), len(refused)) == (MOST_LINKS, 10)
    assert {answer.json()["code"] for answer in refused} == {"too_many_feed_links"}


async def test_a_revoked_link_makes_room(client: AsyncClient, path: str, provider: Headers) -> None:
    made = [(await client.post(path, headers=provider)).json() for _ in range(MOST_LINKS)]
    assert (await client.post(path, headers=provider)).status_code == 409

    await client.delete(f"{path}/{made[0]['id']}", headers=provider)

    assert (await client.post(path, headers=provider)).status_code == 201


async def test_a_wrong_body_makes_no_link(
    client: AsyncClient, path: str, provider: Headers
) -> None:
    wrong: list[tuple[dict[str, object], str]] = [
        ({"label": ""}, "BLANK"),
        ({"label": "x" * 101}, "TOO_LONG"),
        ({"label": "a\u202eb"}, "FORBIDDEN_CHARACTER"),
        ({"label": 7}, "NOT_TEXT"),
        ({"id": "018f2d3c-7b1a-7c3e-9d41-5f0c2b6a8e10"}, "UNKNOWN_FIELD"),
    ]

    answers = [await client.post(path, headers=provider, json=body) for body, _ in wrong]

    assert [answer.status_code for answer in answers] == [422] * len(wrong)
    assert [answer.json()["errors"][0]["code"] for answer in answers] == [code for _, code in wrong]
    assert (await client.get(path, headers=provider)).json() == {"items": []}
