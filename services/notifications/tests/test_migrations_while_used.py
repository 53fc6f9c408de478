"""The changes of tables that are in use keep nobody waiting, and bear being cut short."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from shared.migrations import upgrade
from shared.provisioning import provision
from shared.testing.databases import PASSWORD, with_login

from .conftest import Until

_PATIENCE = 20.0
"""Of a writer that comes while a migration waits for its lock, which it does for half a second."""


@pytest.fixture
async def first_release(postgres_url: str, service_folder: Path) -> AsyncIterator[str]:
    """A database as the first release has left it, entered as its owner."""
    name = f"test_{uuid4().hex}"
    await provision(
        postgres_url, "notifications", password=PASSWORD, owner_password=PASSWORD, database=name
    )
    url = with_login(postgres_url, user="notifications_owner", password=PASSWORD, database=name)
    await asyncio.to_thread(upgrade, service_folder, url, "0001")
    yield url
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


async def revision(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("SELECT version_num FROM alembic_version"))
    finally:
        await connection.close()


async def test_whoever_waits_for_a_lock_holds_up_nobody(
    first_release: str, service_folder: Path, until: Until
) -> None:
    busy = await asyncpg.connect(first_release)
    other = await asyncpg.connect(first_release)
    work = busy.transaction()
    await work.start()
    await busy.execute("LOCK TABLE notification_jobs IN ROW EXCLUSIVE MODE")
    migrating = asyncio.create_task(asyncio.to_thread(upgrade, service_folder, first_release))

    async def it_waits() -> bool:
        return bool(
            await other.fetchval(
                "SELECT true FROM pg_locks WHERE NOT granted "
                "AND relation = 'notification_jobs'::regclass"
            )
        )

    async with asyncio.timeout(90):
        for _ in range(2):
            await until(it_waits)
            # A writer that comes after it waits no longer than for one attempt.
            await other.execute(
                "UPDATE notification_jobs SET last_error = 'x' WHERE false", timeout=_PATIENCE
            )
        await work.rollback()
        await migrating

    assert await revision(first_release) > "0002"
    await busy.close()
    await other.close()


async def test_what_was_cut_short_is_made_anew(first_release: str, service_folder: Path) -> None:
    connection = await asyncpg.connect(first_release)
    # As an attempt leaves it that ended in the middle: some steps done, one index of no use.
    await connection.execute("ALTER TABLE contacts ADD COLUMN by_email boolean DEFAULT true")
    await connection.execute(
        "CREATE INDEX notification_jobs_ended_at_idx ON notification_jobs (ended_at)"
    )

    await asyncio.to_thread(upgrade, service_folder, first_release)

    indexes = await connection.fetch(
        "SELECT indexrelid::regclass::text AS name, indisvalid, "
        "pg_get_expr(indpred, indrelid) AS for "
        "FROM pg_index WHERE indrelid = 'notification_jobs'::regclass"
    )
    assert all(index["indisvalid"] for index in indexes)
    [made] = [index for index in indexes if index["name"] == "notification_jobs_ended_at_idx"]
    assert made["for"] == "(ended_at IS NOT NULL)"
    await connection.close()
