"""What a worker does every so often."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest
import structlog

from shared.db import Connection, Database
from shared.observability import current_trace_id
from shared.worker import Timer, in_transaction

SOON, NEVER = timedelta(milliseconds=1), timedelta(hours=1)

Action = Callable[[Connection], Awaitable[bool | None]]


@asynccontextmanager
async def running(database: Database, action: Action, every: timedelta) -> AsyncIterator[None]:
    task = asyncio.create_task(Timer("test", every, in_transaction(database, action)).run())
    try:
        async with asyncio.timeout(20):
            yield
    finally:
        if task.done():
            task.result()  # what has ended the timer is what went wrong
        task.cancel()
        await asyncio.wait({task})


class Ticks:
    """Counts, and lets a test wait for a number."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = asyncio.Condition()

    async def add(self) -> None:
        async with self._changed:
            self.count += 1
            self._changed.notify_all()

    async def reach(self, number: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.count >= number)


async def effects(database: Database) -> int:
    async with database.reading() as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM effects")
        return count


async def insert(db: Connection) -> None:
    await db.execute("INSERT INTO effects VALUES (gen_random_uuid())")


async def test_every_tick_is_a_transaction_and_a_story_of_its_own(database: Database) -> None:
    ticks = Ticks()
    seen = set()

    async def action(db: Connection) -> None:
        seen.add((await db.fetchval("SELECT pg_current_xact_id()::text"), current_trace_id()))
        await ticks.add()

    async with running(database, action, SOON):
        await ticks.reach(3)

    assert len({transaction for transaction, _ in seen}) == len({trace for _, trace in seen})
    assert len(seen) >= 3


async def test_a_tick_begins_only_when_its_time_has_come(database: Database) -> None:
    ticks = Ticks()

    async def action(_: Connection) -> None:
        await ticks.add()

    async with running(database, action, NEVER):
        await ticks.reach(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await ticks.reach(2)


async def test_an_action_with_more_to_do_runs_again_at_once(database: Database) -> None:
    ticks = Ticks()

    async def action(_: Connection) -> bool:
        await ticks.add()
        return ticks.count < 3

    async with running(database, action, NEVER):
        await ticks.reach(3)


async def test_a_slow_action_never_meets_itself(database: Database) -> None:
    ticks, now = Ticks(), 0
    most = 0

    async def action(db: Connection) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await db.execute("SELECT pg_sleep(0.02)")  # many times as long as the timer's period
        now -= 1
        await ticks.add()

    async with running(database, action, SOON):
        await ticks.reach(4)

    assert most == 1


async def test_a_tick_in_hand_is_finished_before_the_timer_ends(database: Database) -> None:
    in_hand, go_on = asyncio.Event(), asyncio.Event()

    async def action(db: Connection) -> None:
        in_hand.set()
        await go_on.wait()
        await insert(db)

    task = asyncio.create_task(Timer("test", NEVER, in_transaction(database, action)).run())
    await in_hand.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait({task}, timeout=10)

    assert task.cancelled()
    assert await effects(database) == 1


async def test_a_mistake_in_the_action_ends_the_timer(database: Database) -> None:
    async def action(db: Connection) -> None:
        await insert(db)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(10):
            await Timer("test", NEVER, in_transaction(database, action)).run()

    assert await effects(database) == 0


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_a_timer_waits_while_the_database_is_away(
    database: Database, database_name: str, postgres_url: str
) -> None:
    ticks = Ticks()

    async def action(db: Connection) -> None:
        await insert(db)
        await ticks.add()

    async def logged(lines: list[structlog.typing.EventDict], event: str) -> None:
        while event not in [line["event"] for line in lines]:  # noqa: ASYNC110 -- written by a log
            await asyncio.sleep(0.01)

    with structlog.testing.capture_logs() as lines:
        async with connected(postgres_url) as admin, running(database, action, SOON):
            await ticks.reach(1)
            await admin.execute(f'ALTER DATABASE "{database_name}" CONNECTION LIMIT 0')
            await admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1",
                database_name,
            )
            await logged(lines, "timer_waits")
            at_the_outage = ticks.count
            await admin.execute(f'ALTER DATABASE "{database_name}" CONNECTION LIMIT -1')
            await logged(lines, "timer_goes_on")
            await ticks.reach(at_the_outage + 1)


async def test_an_outage_is_told_of_once(database: Database) -> None:
    ticks, tries = Ticks(), 0

    class Away(Database):
        @asynccontextmanager
        async def transaction(self) -> AsyncIterator[Connection]:
            nonlocal tries
            tries += 1
            if tries <= 3:
                raise ConnectionRefusedError
            async with database.transaction() as connection:
                yield connection

    async def action(_: Connection) -> None:
        await ticks.add()

    away = Away.__new__(Away)
    with structlog.testing.capture_logs() as lines:
        async with running(away, action, NEVER):
            await ticks.reach(1)

    assert tries == 4
    assert [line["event"] for line in lines] == ["timer_waits", "timer_goes_on"]
