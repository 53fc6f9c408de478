"""Being told of changes: channels that overlap, messages that are checked, and losses found."""

import random
from datetime import timedelta
from uuid import uuid4

import pytest

from calendar_sync.sync.channels import note_push
from calendar_sync.use_cases.choose import choose
from calendar_sync.use_cases.disconnect import disconnect
from shared.db import Database
from shared.events.provider import ProviderUpdated

from .conftest import PROVIDER, Tell
from .practice import Practice, a_practice, in_days
from .remote import Remote


@pytest.fixture
async def practice(database: Database, tell: Tell, the_provider: ProviderUpdated) -> Practice:
    await tell(the_provider)
    remote = Remote(pushes=True)
    practice = await a_practice(database, PROVIDER, remote, push_origin="https://clinic.example")
    await practice.visit()
    return practice


async def push(practice: Practice, **wrong: str) -> bool:
    """The provider tells, through every open channel."""
    known = False
    for id_, (_, asked) in practice.remote.channels.items():
        async with practice.database.transaction() as db:
            known = await note_push(db, secret=wrong.get("secret", asked.secret), id_=id_) or known
    return known


async def due(practice: Practice) -> bool:
    return bool(await practice.sql("SELECT FROM connections WHERE next_visit_at <= now()"))


async def test_each_calendar_that_is_read_has_one_channel(practice: Practice) -> None:
    for _ in range(3):
        await practice.visit()

    ((external_id, asked),) = practice.remote.channels.values()
    assert asked.address == "https://clinic.example/v1/webhooks/calendar/google"
    (row,) = await practice.sql("SELECT * FROM push_channels")
    assert row["external_id"] == external_id
    assert asked.secret.encode() not in row["secret_hash"]


async def test_a_message_calls_a_visit_and_ten_are_one(practice: Practice) -> None:
    assert not await due(practice)
    practice.remote.set("a", in_days(3), in_days(3, 10))
    reads = practice.remote.reads

    for _ in range(10):
        assert await push(practice)
    await practice.visit(wait=False)
    await practice.visit(wait=False)

    assert practice.remote.reads == reads + 1
    assert await practice.busy() == [(in_days(3), in_days(3, 10))]


async def test_the_providers_id_will_do_as_well(practice: Practice) -> None:
    ((external_id, asked),) = practice.remote.channels.values()
    async with practice.database.transaction() as db:
        assert await note_push(db, secret=asked.secret, external_id=external_id)

    assert await due(practice)


async def test_a_forged_message_has_no_effect(practice: Practice) -> None:
    assert not await push(practice, secret="guessed")
    async with practice.database.transaction() as db:
        assert not await note_push(db, secret="", id_=uuid4())
        assert not await note_push(db, secret="")

    assert not await due(practice)


@pytest.mark.parametrize("renews", [False, True])
async def test_a_channel_is_followed_by_another_before_it_ends(
    practice: Practice, renews: bool
) -> None:
    practice.remote.renews = renews
    before = set(practice.remote.channels)
    await practice.sql("UPDATE push_channels SET expires_at = now() + interval '20 hours'")

    await practice.visit()

    assert (set(practice.remote.channels) == before) is renews
    assert len(practice.remote.channels) == 1
    (row,) = await practice.sql("SELECT expires_at - now() AS left FROM push_channels")
    assert row["left"] > timedelta(days=5)


async def test_one_that_has_ended_is_replaced(practice: Practice) -> None:
    await practice.sql("UPDATE push_channels SET expires_at = now() - interval '1 hour'")
    practice.remote.channels.clear()

    await practice.visit()

    assert len(practice.remote.channels) == 1


async def test_who_refuses_is_polled_and_asked_again_another_day(
    database: Database, tell: Tell, the_provider: ProviderUpdated
) -> None:
    await tell(the_provider)
    remote = Remote(pushes=True, refuses_channels=True)
    practice = await a_practice(database, PROVIDER, remote, push_origin="https://clinic.example")
    for _ in range(3):
        await practice.visit()
    rows = await practice.sql("SELECT FROM push_channels")
    remote.refuses_channels = False
    await practice.visit()
    same_day = len(remote.channels)
    await practice.sql("UPDATE push_channels SET expires_at = now()")
    await practice.visit()

    assert (len(rows), same_day, len(remote.channels)) == (1, 0, 1)
    assert (await practice.row())["failures"] == 0


async def test_channels_end_with_what_they_are_for(practice: Practice) -> None:
    async with practice.database.transaction() as db:
        await choose(db, PROVIDER, practice.id, {"busy_calendar_ids": []})
    await practice.visit()
    assert practice.remote.channels == {}
    assert await practice.sql("SELECT FROM push_channels") == []

    (calendar,) = await practice.sql("SELECT id FROM calendars")
    async with practice.database.transaction() as db:
        await choose(db, PROVIDER, practice.id, {"busy_calendar_ids": [calendar["id"]]})
    await practice.visit()
    assert len(practice.remote.channels) == 1
    async with practice.database.transaction() as db:
        await disconnect(db, PROVIDER, practice.id, remove_events=False)
    await practice.visit()
    assert practice.remote.channels == {}


async def test_what_lost_messages_do_not_tell_polling_finds(practice: Practice) -> None:
    chance = random.Random(7)
    for number in range(60):
        id_ = f"{number % 20}"
        if id_ in practice.remote.calendar() and chance.random() < 0.3:
            practice.remote.delete(id_)
        else:
            practice.remote.set(id_, in_days(3 + number), in_days(3 + number, 10))
        if chance.random() >= 0.3:
            await push(practice)
        await practice.visit(wait=False)

    await practice.visit()

    truth = [each.occurrences[0] for each in practice.remote.calendar().values()]
    assert await practice.busy() == sorted((each.start, each.end) for each in truth)
