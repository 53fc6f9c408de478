"""The shared mechanisms are tested in a database that holds nothing but the shared tables."""

import asyncio

import asyncpg
import pytest

from shared.migrations import IDEMPOTENCY_V1, INBOX_V1, OUTBOX_V1
from shared.testing.databases import Build


@pytest.fixture(scope="session")
def schema() -> tuple[str, str, Build]:
    return "shared_tests", "v1", _build


def _build(url: str) -> None:
    asyncio.run(_create_tables(url))


async def _create_tables(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(OUTBOX_V1 + INBOX_V1 + IDEMPOTENCY_V1)
    await connection.execute(
        "CREATE TABLE effects (id uuid PRIMARY KEY, value integer NOT NULL DEFAULT 1)"
    )
    await connection.close()
