"""A month of history dropped, against deleted; and what it costs to have many months.

python -m bench.scaling.months
"""

import asyncio
import os
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from time import perf_counter
from uuid import UUID

import asyncpg

from bench.bookings import pairs_per_second
from bench.clinic import a_clinic
from bench.stage import Stage, stage
from bookings import queries
from shared.testing.databases import PASSWORD, with_login
from shared.testing.partitions import History

ROWS = 1_000_000
MONTH_ROWS = 100_000
MONTHS = 24
AUDIT = History("audit_events", "occurred_at")
_FILL = """
INSERT INTO audit_events SELECT gen_random_uuid(), appointment_id, 1000 + $3::integer + n, action,
    actor_type, actor_id, $1::timestamptz + n * $2::interval, metadata, previous_hash, hash
FROM (SELECT * FROM audit_events LIMIT 1) one CROSS JOIN generate_series(1, $4::integer) n
"""


async def run(on: Stage) -> None:
    clinic = await a_clinic(on)
    owner_url = with_login(
        os.environ["TEST_POSTGRES_URL"],
        user="bookings_owner",
        password=PASSWORD,
        database=on.admin_url.rpartition("/")[2],
    )
    owner = await asyncpg.connect(owner_url)
    async with on.serving("bookings.app:make_app") as port:
        await pairs_per_second(port, clinic, 2)
        now: datetime = await owner.fetchval("SELECT now()")
        await _fill(owner, now - timedelta(days=300), ROWS)
        await on.as_admin("VACUUM ANALYZE")
        reading = await _trail_ms(on, owner)
        await owner.execute("ALTER TABLE audit_events DISABLE TRIGGER audit_events_append_only")
        first = now - timedelta(days=300)
        deleted = await _timed(
            owner,
            "DELETE FROM audit_events WHERE occurred_at < "
            f"'{(first + timedelta(days=30)).isoformat()}' AND occurred_at > '{first.isoformat()}'",
        )
        vacuumed = await _timed(owner, "VACUUM audit_events")
        await owner.execute("ALTER TABLE audit_events ENABLE TRIGGER audit_events_append_only")
        border: datetime = await owner.fetchval("SELECT clock_timestamp() + interval '2 s'")
        began = perf_counter()
        await AUDIT.prepare(owner, border)
        prepared = perf_counter() - began
        months = [border + timedelta(days=30 * each) for each in range(1, MONTHS + 1)]
        moved = await AUDIT.change_over(owner, border, *months[:2])
        for begin, end in pairwise(months[1:]):
            await AUDIT.add_month(owner, begin, end)
        await asyncio.sleep(2)
        await _fill(owner, months[4] + timedelta(days=1), MONTH_ROWS)
        await on.as_admin("VACUUM ANALYZE audit_events")
        dropped = await _timed(owner, f"DROP TABLE audit_events_{months[4]:%Y%m%d}")
        reading_after = await _trail_ms(on, owner)
    await owner.close()
    print(f"{ROWS:,} entries, made ready while in use: {prepared:.2f} s")
    print(f"changed over, which everybody waits for: {moved * 1000:.0f} ms")
    print(f"a month of {MONTH_ROWS:,}: deleted in {deleted * 1000:.0f} ms and vacuumed in ", end="")
    print(f"{vacuumed * 1000:.0f} ms; dropped in {dropped * 1000:.1f} ms")
    print(f"a trail read: {reading:.3f} ms in one table, {reading_after:.3f} ms in {MONTHS + 1}")


async def _fill(owner: "asyncpg.Connection[asyncpg.Record]", begin: datetime, rows: int) -> None:
    """Ten months of a million, or one of a tenth, one after the other."""
    pause = timedelta(days=300) / ROWS
    offset = 0 if rows == ROWS else 2 * ROWS
    await owner.execute(_FILL, begin, pause, offset, rows, timeout=300)


async def _timed(owner: "asyncpg.Connection[asyncpg.Record]", statement: str) -> float:
    began = perf_counter()
    await owner.execute(statement, timeout=300)
    return perf_counter() - began


async def _trail_ms(on: Stage, owner: "asyncpg.Connection[asyncpg.Record]") -> float:
    """The median of 500 trails of two entries each."""
    rows = await owner.fetch(
        "SELECT id FROM appointments WHERE id <> (SELECT appointment_id FROM audit_events "
        "WHERE sequence > 1000 LIMIT 1) LIMIT 500"
    )
    ids: list[UUID] = [row["id"] for row in rows]
    times = []
    async with on.database.reading() as db:
        for each in ids[:20] + ids:
            began = perf_counter()
            await queries.audit_trail(db, each)
            times.append(perf_counter() - began)
    return median(times[20:]) * 1000


async def main() -> None:
    async with stage("bookings") as on:
        await run(on)


if __name__ == "__main__":
    asyncio.run(main())
