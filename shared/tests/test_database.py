"""The way to the database."""

import asyncpg
import pytest

from shared.db import Database


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
