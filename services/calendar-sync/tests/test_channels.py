"""Being told of changes: channels that overlap, messages that are checked, and losses found."""

import random
from datetime import timedelta
from uuid import uuid4

import pytest

from calendar_sync.calendars.contract import Temporary
from calendar_sync.refusals import ChannelNotFound
from calendar_sync.use_cases.choose import choose
from calendar_sync.use_cases.disconnect import disconnect
from calendar_sync.use_cases.hear import Message, hear
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
    messages = [
        Message(id_, wrong.get("secret", asked.secret))
        for id_, (_, asked) in practice.remote.channels.items()
    ]
    return await heard(practice, *messages)


async def heard(practice: Practice, *messages: Message) -> bool:
    try:
        async with practice.database.transaction() as db:
            await hear(db, "google", messages)
    except ChannelNotFound:
        return False
    return True


async def due(practice: Practice) -> bool:
    """At once, or after the rest that follows each visit."""
    soon = "SELECT FROM connections WHERE next_visit_at <= now() + interval '1 s'"
    return bool(await practice.sql(soon))


async def rested(practice: Practice) -> None:
    await practice.sql("UPDATE connections SET next_visit_at = next_visit_at - interval '1 s'")


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
    await rested(practice)
    await practice.visit(wait=False)
    await practice.visit(wait=False)

    assert practice.remote.reads == reads + 1
    assert await practice.busy() == [(in_days(3), in_days(3, 10))]


async def test_a_forged_message_has_no_effect(practice: Practice) -> None:
    assert not await push(practice, secret="guessed")
    assert not await heard(practice, Message(uuid4(), ""))
    assert not await heard(practice)

    assert not await due(practice)


@pytest.mark.parametrize("renews", [False, True])
async def test_a_channel_is_followed_by_another_before_it_ends(
    practice: Practice, renews: bool
) -> None:
    practice.remote.renews = renews
    before = set(practice.remote.channels)
    await practice.sql(
        "UPDATE push_channels SET expires_at = now() + interval '20 hours', "
        "asked_at = now() - interval '5 days'"
    )

    await practice.visit()

    assert before <= set(practice.remote.channels)
    assert await push(practice)
    assert len(practice.remote.channels) == (1 if renews else 2)
    await practice.visit()
    assert (set(practice.remote.channels) == before) is renews
    (row,) = await practice.sql("SELECT expires_at - now() AS left FROM push_channels")
    assert row["left"] > timedelta(days=5)


async def test_short_lives_are_renewed_in_time_and_not_each_time(practice: Practice) -> None:
    practice.remote.channel_lasts = timedelta(hours=2)
    await practice.sql("UPDATE push_channels SET expires_at = now()")
    await practice.visit()
    only = set(practice.remote.channels)
    await practice.visit()
    assert set(practice.remote.channels) == only

    await practice.sql(
        "UPDATE push_channels SET expires_at = expires_at - interval '100 minutes', "
        "asked_at = asked_at - interval '100 minutes'"
    )
    await practice.visit()

    assert set(practice.remote.channels) > only


async def test_two_channels_may_have_one_id_at_the_provider(practice: Practice) -> None:
    (external_id, _), *_ = practice.remote.channels.values()
    practice.remote.resource_id = external_id
    await practice.sql(
        "UPDATE push_channels SET asked_at = now() - interval '30 days', "
        "expires_at = now() + interval '9 minutes'"
    )

    for _ in range(2):
        await practice.visit()

    assert len(await practice.sql("SELECT FROM push_channels")) == 1
    assert (await practice.row())["failures"] == 0


async def test_an_opening_that_is_not_answered_does_not_end_the_visit(practice: Practice) -> None:
    practice.remote.set("a", in_days(3), in_days(3, 10))
    await practice.sql("DELETE FROM push_channels")
    practice.remote.faults.append(Temporary("unreachable"))

    await practice.visit()
    assert (await practice.row())["failures"] == 0
    assert await practice.busy() == [(in_days(3), in_days(3, 10))]

    for _ in range(2):
        await practice.visit()
    assert len(await practice.sql("SELECT FROM push_channels")) == 1


async def test_one_that_has_ended_is_replaced(practice: Practice) -> None:
    await practice.sql("UPDATE push_channels SET expires_at = now() - interval '1 hour'")
    practice.remote.channels.clear()

    await practice.visit()

    assert len(practice.remote.channels) == 1


async def test_who_refuses_is_polled_and_asked_again_an_hour_later(
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
    too_early = len(remote.channels)
    await practice.sql("UPDATE push_channels SET asked_at = now() - interval '61 minutes'")
    await practice.visit()

    assert (len(rows), too_early, len(remote.channels)) == (1, 0, 1)
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
            await rested(practice)
        await practice.visit(wait=False)

    await practice.visit()

    truth = [each.occurrences[0] for each in practice.remote.calendar().values()]
    assert await practice.busy() == sorted((each.start, each.end) for each in truth)
