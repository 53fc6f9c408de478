"""A consumer remembers what it has had."""

from datetime import timedelta

import pytest

from shared.db import Database
from shared.events.envelope import Event
from shared.events.provider import ProviderDeleted
from shared.messaging import inbox
from shared.messaging.wire import decode

from .stage import an_event, body_of


def received() -> Event[ProviderDeleted]:
    return decode(body_of(an_event()))


async def test_an_event_is_new_once_to_each_consumer(database: Database) -> None:
    first, second = received(), received()

    async with database.transaction() as connection:
        assert await inbox.remember(connection, "a", [first]) == {first.id}
        assert await inbox.remember(connection, "a", [first, second, second]) == {second.id}
        assert await inbox.remember(connection, "b", [first]) == {first.id}


async def test_a_forgotten_event_is_new_again(database: Database) -> None:
    event = received()

    async with database.transaction() as connection:
        await inbox.remember(connection, "a", [event])
        await inbox.forget(connection, "a", [event.id])

        assert await inbox.remember(connection, "a", [event]) == {event.id}


async def test_the_inbox_remembers_for_thirty_days(database: Database) -> None:
    old, recent = received(), received()
    async with database.transaction() as connection:
        await inbox.remember(connection, "a", [old, recent])
        await connection.execute(
            "UPDATE inbox SET received_at = now() - interval '31 days' WHERE event_id = $1", old.id
        )

    assert await inbox.purge_inbox(database) == 1
    with pytest.raises(ValueError, match="30 days"):
        await inbox.purge_inbox(database, timedelta(days=29))

    async with database.transaction() as connection:
        assert await inbox.remember(connection, "a", [old, recent]) == {old.id}
