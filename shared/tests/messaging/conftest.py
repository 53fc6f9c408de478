"""Each test has an exchange, queues and empty tables of its own, on servers that all share."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import asyncpg
import pytest

from shared.db import Database

from .link import Link
from .stage import Stage


@pytest.fixture(scope="module")
def reused_database(postgres_url: str, template_database: str) -> Iterator[str]:
    """One database for a module: the tests are many, and cloning takes longer than most of them."""
    name = f"test_{uuid4().hex}"

    async def execute(statement: str) -> None:
        admin = await asyncpg.connect(postgres_url)
        await admin.execute(statement)
        await admin.close()

    asyncio.run(execute(f'CREATE DATABASE "{name}" TEMPLATE "{template_database}"'))
    asyncio.run(execute(f'GRANT CONNECT ON DATABASE "{name}" TO shared_tests'))
    yield name
    asyncio.run(execute(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
async def database_name(postgres_url: str, reused_database: str) -> str:
    admin = await asyncpg.connect(postgres_url, database=reused_database)
    await admin.execute("DELETE FROM outbox; DELETE FROM inbox; DELETE FROM effects")
    await admin.close()
    return reused_database


@pytest.fixture
async def stage(amqp_url: str, database: Database, database_url: str) -> AsyncIterator[Stage]:
    async with Stage(amqp_url, database, database_url).open() as stage:
        yield stage


@pytest.fixture
async def broker_link(amqp_url: str) -> AsyncIterator[Link]:
    async with Link(amqp_url) as link:
        yield link


@pytest.fixture
async def database_link(database_url: str) -> AsyncIterator[Link]:
    async with Link(database_url) as link:
        yield link
