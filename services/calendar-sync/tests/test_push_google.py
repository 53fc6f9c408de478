"""Google tells of changes by headers alone, and only who knows a channel's token is heard."""

import pytest

from shared.db import Database
from shared.events.provider import ProviderUpdated
from shared.http import AsyncClient
from shared.ids import new_id

from .conftest import PROVIDER, Tell
from .practice import Practice, a_practice
from .remote import Remote

PATH = "/v1/webhooks/calendar/google"


@pytest.fixture
async def practice(database: Database, tell: Tell, the_provider: ProviderUpdated) -> Practice:
    await tell(the_provider)
    remote = Remote(pushes=True)
    practice = await a_practice(database, PROVIDER, remote, push_origin="https://clinic.example")
    await practice.visit()
    return practice


def headers(practice: Practice, **changed: str) -> dict[str, str]:
    ((id_, (_, asked)),) = practice.remote.channels.items()
    return {
        "X-Goog-Channel-ID": str(id_),
        "X-Goog-Channel-Token": asked.secret,
        "X-Goog-Resource-ID": "opaque",
        "X-Goog-Resource-State": "exists",
        "X-Goog-Message-Number": "7",
        **changed,
    }


async def nudges(practice: Practice) -> int:
    return int((await practice.row())["nudges"])


async def test_a_change_makes_the_next_visit_due(practice: Practice, client: AsyncClient) -> None:
    answer = await client.post(PATH, headers=headers(practice))

    assert (answer.status_code, answer.content) == (204, b"")
    assert await nudges(practice) == 1


async def test_the_first_message_of_a_channel_says_nothing(
    practice: Practice, client: AsyncClient
) -> None:
    first = headers(practice, **{"X-Goog-Resource-State": "sync"})

    assert (await client.post(PATH, headers=first)).status_code == 204
    assert await nudges(practice) == 0


async def test_who_does_not_know_the_token_is_not_heard(
    practice: Practice, client: AsyncClient
) -> None:
    good = headers(practice)
    id_, token = good["X-Goog-Channel-ID"], good["X-Goog-Channel-Token"]
    bad: list[dict[str, str]] = [
        {},
        {"X-Goog-Channel-ID": id_},
        {"X-Goog-Channel-Token": token},
        {"X-Goog-Channel-ID": id_, "X-Goog-Channel-Token": ""},
        {"X-Goog-Channel-ID": id_, "X-Goog-Channel-Token": token + "x"},
        {"X-Goog-Channel-ID": id_, "X-Goog-Channel-Token": token * 10},
        {"X-Goog-Channel-ID": str(new_id()), "X-Goog-Channel-Token": token},
        {"X-Goog-Channel-ID": "../../etc/passwd", "X-Goog-Channel-Token": token},
        {"X-Goog-Channel-ID": "{" + id_[1:-1] + "}", "X-Goog-Channel-Token": token},
    ]

    answers = [await client.post(PATH, headers=each) for each in bad]

    assert {(each.status_code, each.json()["code"]) for each in answers} == {
        (404, "calendar_channel_not_found")
    }
    assert await nudges(practice) == 0


async def test_an_ended_channel_is_not_heard(practice: Practice, client: AsyncClient) -> None:
    await practice.sql("UPDATE push_channels SET expires_at = now()")

    assert (await client.post(PATH, headers=headers(practice))).status_code == 404
    assert await nudges(practice) == 0


async def test_a_broken_or_ending_connection_is_not_visited_for_a_message(
    practice: Practice, client: AsyncClient
) -> None:
    for state in ("broken", "disconnecting"):
        await practice.sql(
            "UPDATE connections SET state = $1, broken_because = 'invalid_grant'", state
        )
        assert (await client.post(PATH, headers=headers(practice))).status_code == 204
        assert await nudges(practice) == 0
