"""The way to the database."""

from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from shared.database_trouble import is_passing, is_undone
from shared.db import Database, NoConnection


async def test_jsonb_arrives_as_python_objects(database: Database) -> None:
    async with database.reading() as connection:
        value = await connection.fetchval("SELECT $1::jsonb", {"a": [1, None]})

    assert value == {"a": [1, None]}


async def test_the_service_role_cannot_change_the_schema(database: Database) -> None:
    async with database.reading() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("ALTER TABLE outbox ADD COLUMN x int")


async def test_a_raised_exception_rolls_back(database: Database) -> None:
    async def change_and_fail() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO effects VALUES (gen_random_uuid())")
            raise LookupError

    with pytest.raises(LookupError):
        await change_and_fail()

    async with database.reading() as connection:
        assert await connection.fetchval("SELECT count(*) FROM effects") == 0


async def test_what_a_migration_has_changed_meanwhile_can_be_done_again(database_url: str) -> None:
    """A table gets a column while prepared statements select all of them."""

    async def read(database: Database) -> object:
        async with database.transaction() as db:
            return await db.fetchrow("SELECT * FROM changing")

    async with Database.open(database_url, application_name="t", pool_size=1) as single:
        async with single.autocommit() as db:
            await db.execute("CREATE TEMPORARY TABLE changing AS SELECT 1 AS a")
        await read(single)
        async with single.autocommit() as db:
            await db.execute("ALTER TABLE changing ADD COLUMN b integer")

        with pytest.raises(asyncpg.InvalidCachedStatementError) as refused:
            await read(single)

        assert is_undone(refused.value)
        assert is_passing(refused.value)
        assert await read(single) == (1, None)


async def test_whoever_waits_too_long_for_a_connection_is_told_so(database_url: str) -> None:
    async with (
        Database.open(database_url, application_name="t", pool_size=1, patience=0.05) as narrow,
        narrow.pool.acquire(),
    ):
        with pytest.raises(NoConnection) as refused:
            async with narrow.transaction():
                pass

    assert is_passing(refused.value)


async def test_a_password_that_is_being_changed_passes(database_url: str) -> None:
    parts = urlsplit(database_url)
    old = urlunsplit(parts._replace(netloc=f"{parts.username}:old@{parts.netloc.split('@')[1]}"))

    async with Database.open(old, application_name="t") as database:
        with pytest.raises((asyncpg.InvalidAuthorizationSpecificationError, OSError)) as refused:
            async with database.reading():
                pass

    assert is_passing(refused.value)
