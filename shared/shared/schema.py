"""Waits until the database has the schema of this release: ``python -m shared.schema``.

It runs in the service's folder, before its API or worker does, and reads DATABASE_URL.
"""

import asyncio
import sys
from collections.abc import Collection
from pathlib import Path
from time import monotonic

import asyncpg
from alembic.config import Config
from alembic.script import ScriptDirectory

from shared.database_trouble import DatabaseError
from shared.environment import Environment

LONGEST_WAIT = 300.0
_PAUSE = 1.0


class SchemaMissing(Exception):
    """The database did not get the schema in time."""


def is_enough(found: str | None, *, wanted: str, known: Collection[str]) -> bool:
    """A revision that this release does not know is a later release's, and works with this one."""
    return found is not None and (found == wanted or found not in known)


async def wait_for_schema(
    folder: Path, url: str, *, limit: float = LONGEST_WAIT, pause: float = _PAUSE
) -> str:
    """The revision found, once it is enough; raises SchemaMissing after ``limit`` seconds."""
    scripts = ScriptDirectory.from_config(Config(folder / "alembic.ini"))
    wanted = scripts.get_current_head()
    if wanted is None:
        raise SchemaMissing(f"{folder} has no migrations")
    known = {script.revision for script in scripts.walk_revisions()}
    deadline = monotonic() + limit
    while True:
        found, trouble = await _revision(url)
        if found is not None and is_enough(found, wanted=wanted, known=known):
            return found
        if monotonic() >= deadline:
            raise SchemaMissing(f"revision {wanted} is needed, {trouble or f'{found} is there'}")
        await asyncio.sleep(pause)


async def _revision(url: str) -> tuple[str | None, str | None]:
    try:
        async with asyncio.timeout(5):
            connection = await asyncpg.connect(url)
            try:
                return await connection.fetchval("SELECT version_num FROM alembic_version"), None
            finally:
                await connection.close()
    except (*DatabaseError, OSError) as error:  # not there yet, not provisioned yet, no table yet
        return None, type(error).__name__


def main() -> int:
    """0 as soon as the schema is there, 1 when it does not come."""
    try:
        found = asyncio.run(wait_for_schema(Path.cwd(), Environment()["DATABASE_URL"]))
    except SchemaMissing as missing:
        sys.stderr.write(f"{missing}\n")
        return 1
    sys.stdout.write(f"schema at revision {found}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
