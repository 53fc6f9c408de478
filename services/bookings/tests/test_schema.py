"""A process starts when its database has the schema; bookings stands for all services."""

import asyncio
import os
import sys
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from shared.migrations import upgrade
from shared.provisioning import provision, provision_urls
from shared.schema import SchemaMissing, is_enough, wait_for_schema
from shared.testing.databases import PASSWORD, with_login


@pytest.mark.parametrize(
    ("found", "enough"),
    [(None, False), ("0001", False), ("0002", True), ("0003", True)],
    ids=["nothing", "an older release's", "ours", "a later release's"],
)
def test_the_schema_of_this_or_a_later_release_is_enough(found: str | None, enough: bool) -> None:
    assert is_enough(found, wanted="0002", known={"0001", "0002"}) is enough


async def test_a_migrated_database_is_not_waited_for(
    service_folder: Path, database_url: str
) -> None:
    assert await wait_for_schema(service_folder, database_url, limit=0)


async def test_whoever_waits_goes_on_once_roles_database_and_schema_are_there(
    service_folder: Path, postgres_url: str
) -> None:
    name = f"test_{uuid4().hex}"
    urls = [
        with_login(postgres_url, user=role, password=PASSWORD, database=name)
        for role in ("bookings", "bookings_owner")
    ]
    waiting = asyncio.ensure_future(wait_for_schema(service_folder, urls[0], limit=60, pause=0.05))
    try:
        assert await provision_urls(postgres_url, *urls) == "bookings"
        await asyncio.to_thread(upgrade, service_folder, urls[1])

        assert await waiting
    finally:
        waiting.cancel()
        admin = await asyncpg.connect(postgres_url)
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await admin.close()


async def test_the_commands_of_a_release_do_their_part_in_their_order(
    service_folder: Path, postgres_url: str
) -> None:
    name = f"test_{uuid4().hex}"
    variables = {
        "POSTGRES_ADMIN_URL": postgres_url,
        "DATABASE_URL": with_login(postgres_url, user="bookings", password=PASSWORD, database=name),
        "MIGRATION_DATABASE_URL": with_login(
            postgres_url, user="bookings_owner", password=PASSWORD, database=name
        ),
    }
    commands = {
        ("shared.provisioning", "own"): "the database of bookings is ready",
        ("alembic", "upgrade", "head"): "",
        ("shared.schema",): "schema at revision ",
    }
    try:
        for module, expected in commands.items():
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", *module),
                cwd=service_folder,
                env=os.environ | variables,
                stdout=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(60):
                output, _ = await process.communicate()
            assert process.returncode == 0, module
            assert output.decode().startswith(expected)
    finally:
        admin = await asyncpg.connect(postgres_url)
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await admin.close()


async def test_a_database_without_the_schema_is_refused_with_what_is_missing(
    service_folder: Path, postgres_url: str
) -> None:
    name = f"test_{uuid4().hex}"
    await provision(
        postgres_url, "bookings", password=PASSWORD, owner_password=PASSWORD, database=name
    )
    url = with_login(postgres_url, user="bookings", password=PASSWORD, database=name)
    try:
        with pytest.raises(SchemaMissing, match="UndefinedTableError"):
            await wait_for_schema(service_folder, url, limit=0)
    finally:
        admin = await asyncpg.connect(postgres_url)
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()


@pytest.mark.parametrize(
    "owner_url",
    [
        "postgresql://reservations_owner:b@db/bookings",
        "postgresql://bookings_owner:b@db/reservations",
        "postgresql://bookings_owner@db/bookings",
    ],
)
async def test_urls_of_different_databases_are_refused(owner_url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        await provision_urls("unused", "postgresql://bookings:a@db/bookings", owner_url)
