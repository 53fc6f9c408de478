"""History, taken apart by months while its service goes on: the steps of docs/scaling.md.

No migration does this yet. Tests and bench/scaling do it to the schema that the migrations make, to
show that it can be done, and what it costs.
"""

from dataclasses import dataclass
from datetime import datetime
from time import perf_counter

from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key or unique constraint."""

    name: str
    kind: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class History:
    """What a table holds by time."""

    table: str
    column: str

    @property
    def old(self) -> str:
        return f"{self.table}_before"

    async def keys(self, db: Connection) -> list[Key]:
        """Those that will have to carry the time, because they do not yet."""
        return [key for key in await keys_of(db, self.table) if self.column not in key.columns]

    async def prepare(self, db: Connection, border: datetime) -> None:
        """All that takes long, while the table is read and written; nothing is later than that."""
        limit = f"CHECK ({self.column} < '{border.isoformat()}')"
        await db.execute(f"ALTER TABLE {self.table} ADD CONSTRAINT ends {limit} NOT VALID")
        await db.execute(f"ALTER TABLE {self.table} VALIDATE CONSTRAINT ends")
        for key in await self.keys(db):
            columns = ", ".join((*key.columns, self.column))
            await db.execute(
                f"CREATE UNIQUE INDEX CONCURRENTLY {key.name}_timed ON {self.table} ({columns})"
            )

    async def change_over(self, db: Connection, border: datetime, *later: datetime) -> float:
        """The moment for which everybody waits, in seconds; then new rows go into new tables."""
        began = perf_counter()
        async with db.transaction():
            await db.execute("SET LOCAL lock_timeout = '1s'")
            await self._change_over(db)
            await db.execute(
                f"ALTER TABLE {self.table} ATTACH PARTITION {self.old} "
                f"FOR VALUES FROM (MINVALUE) TO ('{border.isoformat()}')"
            )
            for begin, end in zip((border, *later[:-1]), later, strict=True):
                await self.add_month(db, begin, end)
        return perf_counter() - began

    async def _change_over(self, db: Connection) -> None:
        table, old = self.table, self.old
        keys = await keys_of(db, table)
        foreign = await db.fetch(
            "SELECT conname, pg_get_constraintdef(oid) AS wanted FROM pg_constraint "
            "WHERE conrelid = $1::text::regclass AND contype = 'f'",
            table,
        )
        indexes = await db.fetch(
            "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS wanted "
            "FROM pg_index WHERE indrelid = $1::text::regclass AND NOT indisunique",
            table,
        )
        triggers = await _triggers(db, table)
        counted = await db.fetchval(
            "SELECT attname FROM pg_attribute "
            "WHERE attrelid = $1::text::regclass AND attidentity <> ''",
            table,
        )
        await db.execute(f"ALTER TABLE {table} RENAME TO {old}")
        for index in indexes:
            await db.execute(f"ALTER INDEX {index['name']} RENAME TO {index['name']}_before")
        for key in keys:
            await db.execute(f"ALTER TABLE {old} DROP CONSTRAINT {key.name}")
            if self.column not in key.columns:
                await db.execute(
                    f"ALTER TABLE {old} ADD CONSTRAINT {key.name}_before {key.kind} "
                    f"USING INDEX {key.name}_timed"
                )
        await db.execute(
            f"CREATE TABLE {table} (LIKE {old} INCLUDING DEFAULTS INCLUDING CONSTRAINTS) "
            f"PARTITION BY RANGE ({self.column})"
        )
        await db.execute(f"ALTER TABLE {table} DROP CONSTRAINT ends")
        if counted is not None:
            await _count_on(db, table, old, counted)
        for key in keys:
            columns = ", ".join(dict.fromkeys((*key.columns, self.column)))
            await db.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT {key.name} {key.kind} ({columns})"
            )
        for each in foreign:
            await db.execute(f"ALTER TABLE {table} ADD CONSTRAINT {each[0]} {each['wanted']}")
        for each in (*[index["wanted"] for index in indexes], *triggers):
            await db.execute(each)

    async def add_month(self, db: Connection, begin: datetime, end: datetime) -> str:
        """The table for a time to come; what no trigger of the whole watches has one of its own."""
        name = f"{self.table}_{begin:%Y%m%d}"
        await db.execute(
            f"CREATE TABLE {name} PARTITION OF {self.table} "
            f"FOR VALUES FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')"
        )
        for trigger in await _triggers(db, self.table):
            await db.execute(trigger.replace(f" ON public.{self.table} ", f" ON {name} "))
        return name


async def keys_of(db: Connection, table: str) -> list[Key]:
    rows = await db.fetch(
        """
        SELECT conname AS name,
            CASE contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END AS kind,
            ARRAY(
                SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS place (number, at)
                JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY at
            ) AS columns
        FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype IN ('p', 'u')
        ORDER BY contype, conname
        """,
        table,
    )
    return [Key(row["name"], row["kind"], tuple(row["columns"])) for row in rows]


async def _triggers(db: Connection, table: str) -> list[str]:
    rows = await db.fetch(
        "SELECT pg_get_triggerdef(oid) AS wanted FROM pg_trigger "
        "WHERE tgrelid = $1::text::regclass AND NOT tgisinternal",
        table,
    )
    return [row["wanted"] for row in rows]


async def _count_on(db: Connection, table: str, old: str, column: str) -> None:
    """PostgreSQL before 17 knows no identity of partitioned tables, but their defaults."""
    reached = await db.fetchval(f"SELECT coalesce(max({column}), 0) + 1 FROM {old}")
    await db.execute(f"ALTER TABLE {old} ALTER {column} DROP IDENTITY")
    await db.execute(f"CREATE SEQUENCE {table}_{column} START {reached} OWNED BY {table}.{column}")
    await db.execute(f"ALTER TABLE {table} ALTER {column} SET DEFAULT nextval('{table}_{column}')")
