"""What is told of a transaction is told once it is committed, and not otherwise."""

import asyncpg
import pytest

from shared.db import Database, after_commit, transaction_on


async def test_nothing_is_told_before_the_commit(database: Database) -> None:
    told: list[str] = []

    async with database.transaction() as db:
        after_commit(db, lambda: told.append("done"))
        before = list(told)

    assert (before, told) == ([], ["done"])


async def test_what_was_rolled_back_is_never_told(database: Database) -> None:
    told: list[str] = []

    async def change_and_fail() -> None:
        async with database.transaction() as db:
            after_commit(db, lambda: told.append("done"))
            raise LookupError

    with pytest.raises(LookupError):
        await change_and_fail()

    assert told == []


async def test_what_fails_at_the_commit_itself_is_never_told(database: Database) -> None:
    told: list[str] = []

    async def lose_the_connection() -> None:
        async with database.transaction() as db:
            after_commit(db, lambda: told.append("done"))
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                await db.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await lose_the_connection()

    assert told == []


async def test_without_a_transaction_each_statement_is_told_at_once(database: Database) -> None:
    told: list[str] = []

    async with database.autocommit() as db:
        async with transaction_on(db):
            after_commit(db, lambda: told.append("first"))
            within = list(told)
        after_commit(db, lambda: told.append("second"))
        after = list(told)

    assert (within, after) == ([], ["first", "second"])
