"""A database of its own for each test: cloned from a template that the migrations have built.

The test runs as the service's own role, with real commits, so it meets the same rights, constraints
and races as the service in production.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from shared.db import Database
from shared.migrations import upgrade
from shared.provisioning import provision

PASSWORD = "for-tests-only"

Build = Callable[[str], None]
"""Builds a schema in the empty database behind an owner's URL."""


def with_login(url: str, *, user: str, password: str, database: str) -> str:
    """The same server, entered by somebody else at another database."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, f"{user}:{password}@{host}", f"/{database}", parts.query, ""))


@pytest.fixture(scope="session")
def service_folder() -> Path:
    """The folder with the service's alembic.ini; each service's conftest names its own."""
    raise NotImplementedError


# Of a module, not of the session: one session runs the tests of several services.
@pytest.fixture(scope="module")
def schema(service_folder: Path) -> tuple[str, str, Build]:
    """The service's name, a fingerprint of its migrations, and how to run them."""
    versions = sorted((service_folder / "migrations" / "versions").glob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in versions))
    name = service_folder.name.replace("-", "_")
    return name, digest.hexdigest()[:12], lambda url: upgrade(service_folder, url)


@pytest.fixture(scope="module")
def template_database(postgres_url: str, schema: tuple[str, str, Build]) -> str:
    """The name of a migrated database that nobody is connected to."""
    service, fingerprint, build = schema
    name = f"template_{service}_{fingerprint}"
    asyncio.run(_ensure_template(postgres_url, service, name, build))
    return name


async def _ensure_template(admin_url: str, service: str, name: str, build: Build) -> None:
    admin = await asyncpg.connect(admin_url)
    try:
        # Parallel test processes share the server, and the template.
        await admin.execute("SELECT pg_advisory_lock(hashtext($1))", name)
        if await admin.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            return
        draft = f"{name}_draft_{os.getpid()}"
        await provision(
            admin_url, service, password=PASSWORD, owner_password=PASSWORD, database=draft
        )
        owner = with_login(admin_url, user=f"{service}_owner", password=PASSWORD, database=draft)
        await asyncio.to_thread(build, owner)
        await admin.execute(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')
    finally:
        await admin.close()


@pytest.fixture
async def database_name(postgres_url: str, template_database: str) -> AsyncIterator[str]:
    """A fresh clone of the template, dropped after the test."""
    name = f"test_{uuid4().hex}"
    service = template_database.split("_", 1)[1].rsplit("_", 1)[0]
    admin = await asyncpg.connect(postgres_url)
    try:
        await admin.execute(
            f'CREATE DATABASE "{name}" TEMPLATE "{template_database}" OWNER "{service}_owner" '
            "STRATEGY file_copy"
        )
        await admin.execute(f'GRANT CONNECT ON DATABASE "{name}" TO "{service}"')
        yield name
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


@pytest.fixture
def database_url(postgres_url: str, database_name: str, schema: tuple[str, str, Build]) -> str:
    """The test's database, entered as the service itself."""
    return with_login(postgres_url, user=schema[0], password=PASSWORD, database=database_name)


@pytest.fixture
def owner_url(postgres_url: str, database_name: str, schema: tuple[str, str, Build]) -> str:
    """The test's database, entered as the role that migrates it."""
    return with_login(
        postgres_url, user=f"{schema[0]}_owner", password=PASSWORD, database=database_name
    )


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The test's database as a service opens it, but for its patience: many race in a test, and on
    a busy machine the last of them waits for longer than anybody would be let wait."""
    async with Database.open(
        database_url,
        application_name="test",
        pool_size=10,
        patience=60,
        server_settings={
            "lock_timeout": "15s",
            "statement_timeout": "20s",
            "idle_in_transaction_session_timeout": "60s",
        },
    ) as opened:
        yield opened
