"""Finds what is left of somebody in a database, whatever tables and columns there are.

What a test fills in is a marker: text that stands nowhere else.
"""

from collections.abc import Collection
from typing import Any

import asyncpg

_TABLES = """
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND n.nspname NOT LIKE 'pg\\_%' ORDER BY 1
"""


async def leftovers(
    connection: "asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]",
    markers: Collection[str],
) -> list[str]:
    """``table: marker`` for each that is found, in text, JSON, arrays or bytes."""
    found = []
    for (table,) in await connection.fetch(_TABLES):
        for (row,) in await connection.fetch(f"SELECT t::text FROM {table} t"):
            found += [f"{table}: {marker}" for marker in markers if _holds(row, marker)]
    return sorted(set(found))


def _holds(row: str, marker: str) -> bool:
    """As text, or in the hexadecimal form in which PostgreSQL writes bytes."""
    row = row.lower()
    return marker.lower() in row or marker.encode().hex() in row
