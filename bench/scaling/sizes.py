"""How many bytes an appointment leaves in each table: ``python -m bench.scaling.sizes``.

Made through the API of bookings, as patients make them: held and confirmed, each with a key. The
other services hear of them as their consumers do; reservations' own rows are not among them.
"""

import asyncio

import availability.consumers
import calendar_sync.consumers
import notifications.consumers
from bench import calendar
from bench.bookings import pairs_per_second
from bench.clinic import Clinic, a_clinic, told
from bench.stage import Stage, stage
from shared.events.envelope import EventData
from shared.events.registry import EVENT_TYPES
from shared.messaging import inbox
from shared.messaging.handlers import Handlers

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


async def run(on: Stage, clinic: Clinic) -> list[EventData]:
    """Returns what bookings has told."""
    async with on.serving("bookings.app:make_app") as port:
        rate = await pairs_per_second(port, clinic, SECONDS)
    await on.as_admin("VACUUM (FULL, ANALYZE)")
    print(f"{rate:.0f} pairs a second while they were made\n\nupcoming, bytes per appointment")
    await _show(on)
    await on.as_admin(*_ENDED)
    print("\nended: without claims")
    await _show(on)
    async with on.database.reading() as db:
        rows = await db.fetch("SELECT type, data FROM outbox ORDER BY position")
    return [EVENT_TYPES[row["type"]].model_validate(row["data"]) for row in rows]


async def hear(on: Stage, name: str, handlers: Handlers, events: list[EventData]) -> None:
    """As the service's consumer would, which remembers what it has had."""
    heard = [event for event in events if type(event) in handlers]
    for event in map(told, heard):
        async with on.database.transaction() as db:
            await inbox.remember(db, name, [event])
            await handlers[type(event.data)](db, event)
    await on.as_admin("VACUUM (FULL, ANALYZE)")
    print(f"\n{name}")
    await _show(on, len({event.subject for event in heard}))


async def _show(on: Stage, appointments: int = 0) -> None:
    async with on.database.reading() as db:
        appointments = appointments or await db.fetchval("SELECT count(*) FROM appointments")
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
        events = await run(on, await a_clinic(on))
    for name, handlers, settings in (
        ("availability", availability.consumers.HANDLERS, {}),
        ("notifications", notifications.consumers.HANDLERS, {}),
        ("calendar-sync", calendar_sync.consumers.HANDLERS, calendar.SETTINGS),
    ):
        async with stage(name, **settings) as on:
            await hear(on, name, handlers, events)


if __name__ == "__main__":
    asyncio.run(main())
