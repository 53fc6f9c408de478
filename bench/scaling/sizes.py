"""How many bytes an appointment leaves in bookings' tables: ``python -m bench.scaling.sizes``.

Made through the API, as patients make them: held and confirmed, each with a key.
"""

import asyncio

from bench.bookings import pairs_per_second
from bench.clinic import Clinic, a_clinic
from bench.stage import Stage, stage

SECONDS = 12.0
_SIZES = """
SELECT relname AS name, reltuples::bigint AS rows, pg_relation_size(oid) AS heap,
    pg_indexes_size(oid) AS indexes, pg_total_relation_size(oid) AS total
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY total DESC
"""
_ENDED = (
    "DELETE FROM claims",
    "DELETE FROM patient_claims",
    "UPDATE appointments SET status = 'completed'",
    "VACUUM (FULL, ANALYZE)",
)


async def run(on: Stage, clinic: Clinic) -> None:
    async with on.serving("bookings.app:make_app") as port:
        rate = await pairs_per_second(port, clinic, SECONDS)
    await on.as_admin("VACUUM (FULL, ANALYZE)")
    print(f"{rate:.0f} pairs a second while they were made\n\nupcoming, bytes per appointment")
    await _show(on)
    await on.as_admin(*_ENDED)
    print("\nended: without claims")
    await _show(on)


async def _show(on: Stage) -> None:
    async with on.database.reading() as db:
        appointments = await db.fetchval("SELECT count(*) FROM appointments")
        sizes = await db.fetch(_SIZES)
    print(f"{'table':<24}{'rows':>6}{'heap':>8}{'indexes':>9}{'all':>8}")
    for table in sizes:
        if table["rows"] >= appointments / 2:
            per = [table[part] / appointments for part in ("rows", "heap", "indexes", "total")]
            print(f"{table['name']:<24}{per[0]:>6.1f}{per[1]:>8.0f}{per[2]:>9.0f}{per[3]:>8.0f}")
    total = sum(table["total"] for table in sizes) / appointments
    print(f"{'all, of ' + format(appointments, ','):<47}{total:>8.0f}")


async def main() -> None:
    async with stage("bookings") as on:
        await run(on, await a_clinic(on))


if __name__ == "__main__":
    asyncio.run(main())
