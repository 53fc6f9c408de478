"""What every service's migrations share: how they run, and the DDL of the shared tables.

The ``…_v1`` functions are history: a released one is never edited, a change is a ``…_v2``.
"""

import asyncio
import re
from pathlib import Path
from time import sleep
from typing import Any

from alembic import command, context
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, pool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from shared.environment import Environment

_IMPATIENT = "SET lock_timeout = '500ms'"
_TRIES = 60
_PAUSE = 0.5
_IN_THE_WAY = frozenset({"55P03", "40P01"})
"""The lock was not to be had in time, or two waited for each other: nothing is wrong."""

SHARED_TABLES = frozenset({"outbox", "inbox", "idempotency_keys", "erasures", "alembic_version"})


def run_migrations(metadata: MetaData) -> None:
    """The whole of a service's ``env.py``: upgrade the database behind MIGRATION_DATABASE_URL."""
    config = context.config
    url = config.attributes.get("url") or Environment()["MIGRATION_DATABASE_URL"]
    asyncio.run(_run(url, metadata))


async def _run(url: str, metadata: MetaData) -> None:
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=pool.NullPool
    )
    async with engine.connect() as connection:
        await connection.run_sync(_migrate, metadata)
    await engine.dispose()


def _migrate(connection: Connection, metadata: MetaData) -> None:
    # Whoever waits for a lock on a table keeps everybody behind it waiting, too: so never for long,
    # and rather often.
    connection.execute(text(_IMPATIENT))
    connection.commit()
    for tries_left in reversed(range(_TRIES)):
        context.configure(
            connection=connection, target_metadata=metadata, transaction_per_migration=True
        )
        try:
            with context.begin_transaction():
                context.run_migrations()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _IN_THE_WAY or not tries_left:
                raise
            connection.rollback()
            sleep(_PAUSE)
        else:
            return


def upgrade(service_folder: Path, url: str, revision: str = "head") -> None:
    """Migrate the database at ``url`` (a role that owns it) to ``revision``."""
    config = Config(service_folder / "alembic.ini")
    config.attributes["url"] = url
    command.upgrade(config, revision)


def differences(metadata: MetaData, connection: Connection) -> list[Any]:
    """What the migrated database lacks or has too much, compared with the models."""
    options = {"include_object": _is_own, "compare_type": True, "compare_server_default": False}
    found: list[Any] = compare_metadata(
        MigrationContext.configure(connection, opts=options), metadata
    )
    return found


def _is_own(_object: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
    return not (kind == "table" and name in SHARED_TABLES)


OUTBOX_V1 = """
CREATE TABLE outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL CONSTRAINT outbox_id_key UNIQUE,
    type text NOT NULL,
    subject text NOT NULL,
    sequence bigint NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    traceparent text,
    data jsonb NOT NULL,
    published_at timestamptz
);
CREATE INDEX outbox_unpublished_idx ON outbox (position) WHERE published_at IS NULL;
CREATE INDEX outbox_subject_idx ON outbox (subject, position);
"""

INBOX_V1 = """
CREATE TABLE inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    source text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT inbox_pkey PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_received_at_idx ON inbox (received_at);
"""

IDEMPOTENCY_V1 = """
CREATE TABLE idempotency_keys (
    caller uuid NOT NULL,
    operation text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status integer NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (caller, operation, key)
);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);
"""

ERASURES_V1 = """
CREATE TABLE erasures (
    patient_id uuid NOT NULL,
    version integer NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz,
    erasure_id uuid,
    CONSTRAINT erasures_pkey PRIMARY KEY (patient_id, version)
);
CREATE INDEX erasures_unconfirmed_idx ON erasures (erased_at) WHERE confirmed_at IS NULL;
"""


def execute_script(op: Any, script: str) -> None:
    """Run several statements one by one; asyncpg prepares each, so it takes no list of them."""
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)


def step_by_step(op: Any, script: str) -> None:
    """Each statement is a transaction of its own, so no lock outlives the statement it is for.

    For changes of tables that are in use. What was cut short is begun anew, so each statement must
    bear being run again (``IF NOT EXISTS``). Indexes are made CONCURRENTLY: nobody waits for them.
    """
    with op.get_context().autocommit_block():
        for statement in filter(str.strip, script.split(";\n")):
            if _PATIENT.search(statement):
                # It waits for others and keeps nobody waiting, so it may take as long as it takes.
                op.execute("SET lock_timeout = 0")
                op.execute("SET statement_timeout = 0")
            if index := _INDEX.search(statement):
                # One that was cut short is there, and of no use.
                op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index[1]}")
            op.execute(statement)
            op.execute(_IMPATIENT)
            op.execute("RESET statement_timeout")


_PATIENT = re.compile("CONCURRENTLY|VALIDATE CONSTRAINT")
_INDEX = re.compile(r"CREATE INDEX CONCURRENTLY (\w+)")


def messaging_v1(op: Any) -> None:
    """The transactional outbox, and the consumers' memory of what they have seen."""
    execute_script(op, OUTBOX_V1)
    execute_script(op, INBOX_V1)


def idempotency_v1(op: Any) -> None:
    """The stored first answers of requests that carried an Idempotency-Key."""
    execute_script(op, IDEMPOTENCY_V1)


def erasures_v1(op: Any) -> None:
    """Which patients' data a service has erased, and whether it has said so."""
    execute_script(op, ERASURES_V1)


def append_only_v1(op: Any, table: str) -> None:
    """Refuse UPDATE, DELETE and TRUNCATE of ``table`` to everybody who does not own it."""
    op.execute(
        """
        CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
                USING ERRCODE = 'insufficient_privilege';
        END $$
        """
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
