"""Microsoft tells of changes: subscriptions are kept, and messages lead to a reading at once."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from calendar_sync.use_cases.choose import choose
from calendar_sync.use_cases.disconnect import disconnect
from shared.db import Database
from shared.events.provider import ProviderUpdated
from shared.http import AsyncClient, new_client

from .conftest import PROVIDER, Tell
from .graph.mailbox import Mailbox
from .graph.server import Fault, GraphDouble
from .graph.subscriptions import Subscription
from .microsoft import a_connected_mailbox
from .practice import Practice, in_days

PATH = "/v1/webhooks/calendar/microsoft"
HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
async def graph(client: AsyncClient) -> AsyncIterator[GraphDouble]:
    async with GraphDouble.open(client) as double:
        yield double


@pytest.fixture
def mailbox(graph: GraphDouble) -> Mailbox:
    return graph.new_mailbox()


@pytest.fixture
async def practice(
    database: Database,
    tell: Tell,
    the_provider: ProviderUpdated,
    graph: GraphDouble,
    mailbox: Mailbox,
) -> AsyncIterator[Practice]:
    await tell(the_provider)
    async with new_client() as http:
        yield await a_connected_mailbox(database, PROVIDER, graph, mailbox, http)


def the_subscription(graph: GraphDouble) -> Subscription:
    (found,) = graph.subscriptions.live()
    return found


async def is_due(practice: Practice) -> bool:
    (row,) = await practice.sql("SELECT next_visit_at <= now() + interval '1 s' FROM connections")
    return bool(row["?column?"])


async def channels(practice: Practice) -> list[dict[str, Any]]:
    return await practice.sql("SELECT * FROM push_channels ORDER BY asked_at, id")


def messages(*states: str, **more: str) -> dict[str, Any]:
    return {"value": [{"subscriptionId": "x", "clientState": state, **more} for state in states]}


NOT_HEARD = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"value": null}',
    b'{"value": [null, 7, "x", []]}',
    b'{"value": [{"clientState": null}]}',
    b'{"value": [{"clientState": 7, "clientState": 8}]}',
    json.dumps(messages("x", "0" * 300, "." * 40)).encode(),
    json.dumps(messages("\0", "\ud800")).encode(),
    b'{"value":' + b"[" * 500 + b"]" * 500 + b"}",
    b"\xff\xfe",
]


async def test_a_change_is_read_at_once(
    graph: GraphDouble, mailbox: Mailbox, practice: Practice
) -> None:
    await practice.visit()
    assert not await is_due(practice)
    mailbox.add(in_days(3))

    await graph.subscriptions.deliver()
    await practice.sql("UPDATE connections SET next_visit_at = next_visit_at - interval '1 s'")
    await practice.visit(wait=False)

    assert set(graph.subscriptions.answers) == {202}
    assert await practice.busy() == [(in_days(3), in_days(3) + HALF_AN_HOUR)]
    assert not await is_due(practice)


async def test_the_secret_of_a_channel_is_not_kept(graph: GraphDouble, practice: Practice) -> None:
    await practice.visit()

    (row,) = await channels(practice)
    id_, _, secret = the_subscription(graph).client_state.partition(".")
    assert id_ == str(row["id"])
    assert len(secret) >= 32
    assert secret not in str(row)
    assert row["external_id"] == the_subscription(graph).id


async def test_one_channel_is_enough(graph: GraphDouble, practice: Practice) -> None:
    for _ in range(3):
        await practice.visit()

    assert graph.count("POST", "/subscriptions") == 1
    assert the_subscription(graph)


async def test_a_channel_is_renewed_before_it_ends(graph: GraphDouble, practice: Practice) -> None:
    await practice.visit()
    first = the_subscription(graph)
    first.expires_at = graph.now() + timedelta(hours=22)
    await practice.sql(
        "UPDATE push_channels SET expires_at = now() + interval '22 hours', "
        "asked_at = now() - interval '5 days'"
    )

    await practice.visit()
    await practice.visit()

    assert graph.count("PATCH", "/subscriptions") == 1
    assert the_subscription(graph) is first
    assert first.expires_at > graph.now() + timedelta(days=5)
    (row,) = await channels(practice)
    assert row["expires_at"] == first.expires_at


async def test_a_channel_that_ended_is_replaced(graph: GraphDouble, practice: Practice) -> None:
    await practice.visit()
    graph.subscriptions.all.clear()
    await practice.sql(
        "UPDATE push_channels SET expires_at = now() + interval '1 hour', "
        "asked_at = now() - interval '6 days'"
    )

    await practice.visit()

    assert graph.count("PATCH", "/subscriptions") == 1
    assert len(await channels(practice)) == 2
    await practice.visit()
    assert [row["external_id"] for row in await channels(practice)] == [the_subscription(graph).id]


async def test_a_channel_that_ended_unnoticed_is_replaced(
    graph: GraphDouble, practice: Practice
) -> None:
    await practice.visit()
    graph.advance(timedelta(days=8))
    await practice.sql("UPDATE push_channels SET expires_at = now() - interval '1 day'")

    # The clocks agree in life; here only the double's has moved, so its tokens are old too.
    await practice.visit()

    assert len(await channels(practice)) == 1


async def test_a_channel_that_must_be_authorized_again_is(
    graph: GraphDouble, mailbox: Mailbox, practice: Practice
) -> None:
    await practice.visit()
    graph.subscriptions.lifecycle(the_subscription(graph), "reauthorizationRequired")
    await graph.subscriptions.deliver()
    assert await is_due(practice)

    await practice.visit()

    assert not the_subscription(graph).needs_authorization
    assert graph.count("POST", "/subscriptions") == 1


async def test_a_channel_that_microsoft_took_away_is_made_anew(
    graph: GraphDouble, mailbox: Mailbox, practice: Practice
) -> None:
    await practice.visit()
    graph.subscriptions.lifecycle(the_subscription(graph), "subscriptionRemoved")
    mailbox.add(in_days(3))
    await graph.subscriptions.deliver()

    await practice.visit()

    assert await practice.busy() == [(in_days(3), in_days(3) + HALF_AN_HOUR)]
    assert [row["external_id"] for row in await channels(practice)] == [the_subscription(graph).id]


async def test_what_a_channel_missed_is_read(
    graph: GraphDouble, mailbox: Mailbox, practice: Practice
) -> None:
    await practice.visit()
    graph.subscriptions.lost = 1.0
    mailbox.add(in_days(3))
    await graph.subscriptions.deliver()
    assert not await is_due(practice)
    graph.subscriptions.lost = 0.0
    graph.subscriptions.lifecycle(the_subscription(graph), "missed")

    await graph.subscriptions.deliver()

    assert await is_due(practice)


async def test_a_channel_whose_opening_was_not_answered_tells_all_the_same(
    graph: GraphDouble, mailbox: Mailbox, practice: Practice
) -> None:
    graph.faults.append(Fault("POST", "/subscriptions", 0, is_done=True))
    await practice.visit()
    await practice.visit()
    assert graph.count("POST", "/subscriptions") == 1
    assert (await practice.row())["last_error"] is None

    mailbox.add(in_days(3))
    await graph.subscriptions.deliver()

    assert await is_due(practice)
    await practice.sql("UPDATE push_channels SET asked_at = now() - interval '2 hours'")
    await practice.visit()
    assert [row["external_id"] is None for row in await channels(practice)] == [False]


async def test_who_does_not_tell_is_polled(graph: GraphDouble, practice: Practice) -> None:
    graph.faults.append(Fault("POST", "/subscriptions", 403, times=10))

    await practice.visit()
    await practice.visit()

    row = await practice.row()
    assert (row["state"], row["failures"], row["read_at"] is None) == ("connected", 0, False)
    assert graph.count("POST", "/subscriptions") == 1


async def test_a_calendar_that_makes_nobody_busy_any_more_is_not_told_of(
    graph: GraphDouble, practice: Practice
) -> None:
    await practice.visit()
    async with practice.database.transaction() as db:
        await choose(db, PROVIDER, practice.id, {"busy_calendar_ids": []})

    await practice.visit()

    assert graph.subscriptions.live() == []
    assert await channels(practice) == []


async def test_a_disconnected_calendar_is_not_told_of(
    graph: GraphDouble, practice: Practice
) -> None:
    await practice.visit()
    async with practice.database.transaction() as db:
        await disconnect(db, PROVIDER, practice.id, remove_events=False)

    await practice.visit()

    assert graph.subscriptions.live() == []
    assert await channels(practice) == []


async def test_what_shows_no_secret_is_not_heard(client: AsyncClient, practice: Practice) -> None:
    await practice.visit()

    for path, body in itertools.product((PATH, f"{PATH}/lifecycle"), NOT_HEARD):
        headers = {"Content-Type": "application/json"}
        answer = await client.post(path, content=body, headers=headers)
        assert answer.status_code == 404, body
        assert answer.json()["code"] == "calendar_channel_not_found"

    assert not await is_due(practice)


async def test_forged_messages_have_no_effect(
    client: AsyncClient, graph: GraphDouble, practice: Practice
) -> None:
    await practice.visit()
    id_, _, secret = the_subscription(graph).client_state.partition(".")
    before = (await practice.row(), await channels(practice))
    counted = unknown_messages()

    for forged in (f"{id_}.", f"{id_}.{secret[:-1]}", f"{id_}.{secret}x", secret, f"x.{secret}"):
        for event in ("missed", "subscriptionRemoved"):
            body = messages(forged, lifecycleEvent=event)
            assert (await client.post(PATH, json=body)).status_code == 404

    google = {"X-Goog-Channel-ID": id_, "X-Goog-Channel-Token": secret}
    answer = await client.post("/v1/webhooks/calendar/google", headers=google)
    assert answer.status_code == 404
    assert (await practice.row(), await channels(practice)) == before
    assert unknown_messages() == counted + 10


def unknown_messages() -> float:
    labels = {"kind": "microsoft", "outcome": "unknown"}
    return REGISTRY.get_sample_value("calendar_messages_total", labels) or 0


async def test_one_forged_message_among_good_ones_has_no_effect(
    client: AsyncClient, graph: GraphDouble, practice: Practice
) -> None:
    await practice.visit()
    state = the_subscription(graph).client_state
    body = messages(state)
    body["value"] += messages(state[:-1], lifecycleEvent="subscriptionRemoved")["value"]

    assert (await client.post(PATH, json=body)).status_code == 202

    assert await is_due(practice)
    (row,) = await channels(practice)
    assert row["expires_at"] > datetime.now(UTC) + timedelta(days=5)


async def test_replayed_messages_tell_nothing_new(
    graph: GraphDouble, mailbox: Mailbox, practice: Practice
) -> None:
    await practice.visit()
    mailbox.add(in_days(3))
    await graph.subscriptions.deliver()
    await practice.visit()
    await practice.told()
    graph.calls.clear()

    for _ in range(5):
        await graph.subscriptions.replay()
    await practice.visit(wait=False)
    await practice.visit()

    assert await practice.told() == []
    assert graph.count("GET", "/delta") <= 2


async def test_many_messages_are_one_visit(
    client: AsyncClient, graph: GraphDouble, practice: Practice
) -> None:
    await practice.visit()
    graph.calls.clear()
    body = messages(*[the_subscription(graph).client_state] * 20)

    answers = await asyncio.gather(*(client.post(PATH, json=body) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {202}
    assert (await practice.row())["nudges"] == 1
    await practice.visit()
    assert graph.count("GET", "/delta") == 1
    assert not await is_due(practice)


async def test_a_message_during_a_visit_makes_another_one(
    client: AsyncClient, graph: GraphDouble, practice: Practice
) -> None:
    await practice.visit()
    state = the_subscription(graph).client_state
    await practice.sql("UPDATE connections SET next_visit_at = now()")
    graph.hold.clear()
    await practice.visitor.tick()
    await asyncio.wait_for(graph.held.wait(), 30)

    await client.post(PATH, json=messages(state))
    graph.hold.set()
    await practice.visitor.idle()

    assert await is_due(practice)


async def test_an_account_that_wants_peace_is_not_visited_for_a_message(
    client: AsyncClient, graph: GraphDouble, practice: Practice
) -> None:
    await practice.visit()
    state = the_subscription(graph).client_state
    graph.faults.append(Fault("GET", "/delta", 429, retry_after=600))
    await practice.visit()

    await client.post(PATH, json=messages(state))

    row = await practice.row()
    assert row["next_visit_at"] > datetime.now(UTC) + timedelta(minutes=9)


async def test_the_handshake_is_echoed_as_plain_text(client: AsyncClient) -> None:
    token = "Validation: Testing 1+1=2; ü 100%"

    for path in (PATH, f"{PATH}/lifecycle"):
        answer = await client.post(
            path, params={"validationToken": token}, headers={"Content-Type": "text/plain"}
        )
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.text == token


async def test_markup_is_never_sent_back(client: AsyncClient) -> None:
    for token in ("<script>alert(1)</script>", "a&b", 'a"b', "a'b", "a`b", "x" * 1025):
        answer = await client.post(PATH, params={"validationToken": token})
        assert answer.status_code == 422
        assert token not in answer.text


async def test_a_message_has_a_limit(client: AsyncClient) -> None:
    answer = await client.post(PATH, content=b" " * 300_000)

    assert answer.status_code == 413


async def test_other_kinds_have_no_webhook(client: AsyncClient) -> None:
    for kind in ("caldav", "ics", "x"):
        assert (await client.post(f"/v1/webhooks/calendar/{kind}")).status_code == 404
    assert (await client.get(PATH)).status_code == 405
