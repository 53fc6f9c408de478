"""Appointments in every state, as calls have made them; and time that passes when a test wants."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from bookings import queries
from bookings.domain.appointment import Appointment
from bookings.use_cases.confirm import Details, confirm_appointment
from bookings.use_cases.hold import hold_timeslot
from shared.auth import Principal, Role
from shared.db import Connection, Database

from .builders import Clinic, a_patient, a_wish

As = Callable[..., dict[str, str]]
"""Headers of a caller: role, ``sub`` and, where wanted, the idempotency key."""

ADMIN = Principal(uuid4(), Role.ADMIN)


def provider_of(clinic: Clinic) -> Principal:
    return Principal(clinic.provider.id, Role.PROVIDER)


def patient_of(appointment: Appointment) -> Principal:
    return Principal(appointment.patient_id, Role.PATIENT)


async def a_hold(database: Database, clinic: Clinic, **changes: Any) -> Appointment:
    async with database.autocommit() as db:
        held, _ = await hold_timeslot(db, a_wish(clinic, **changes))
    return held


async def a_booking(database: Database, clinic: Clinic, **changes: Any) -> Appointment:
    """Confirmed, or pending where the clinic's service needs approval."""
    if "patient_id" not in changes:
        async with database.transaction() as db:
            changes["patient_id"] = await a_patient(db)
    wish = a_wish(clinic, **changes)
    async with database.autocommit() as db:
        await hold_timeslot(db, wish)
    async with database.transaction() as db:
        found = await confirm_appointment(
            db, wish.token_hash, Details(reason="cough"), user_id=wish.patient_id
        )
    return found.appointment


async def after(database: Database, time: timedelta, *ids: UUID) -> None:
    """As if so much time had passed for these appointments."""
    async with database.transaction() as db:
        await db.execute(
            """
            UPDATE appointments SET starts_at = starts_at - $1::interval,
                ends_at = ends_at - $1::interval, hold_expires_at = hold_expires_at - $1::interval,
                pending_expires_at = pending_expires_at - $1::interval
            WHERE id = ANY ($2)
            """,
            time,
            ids,
        )
        for table in ("claims", "patient_claims"):
            await db.execute(
                f"""
                UPDATE {table} SET
                    period = tstzrange(lower(period) - $1::interval, upper(period) - $1::interval)
                WHERE appointment_id = ANY ($2) AND NOT isempty(period)
                """,
                time,
                ids,
            )


async def overdue(database: Database, id_: UUID) -> None:
    """As if nobody had answered the request, or confirmed the hold, in time."""
    async with database.transaction() as db:
        await db.execute(
            """
            UPDATE appointments SET
                hold_expires_at = CASE WHEN status = 'held' THEN now() ELSE hold_expires_at END,
                pending_expires_at = CASE WHEN status = 'pending' THEN now()
                    ELSE pending_expires_at END
            WHERE id = $1
            """,
            id_,
        )


async def as_it_is(database: Database, id_: UUID) -> Appointment:
    async with database.reading() as db:
        found = await queries.appointment(db, id_)
    assert found is not None
    return found.appointment


async def somebody_waits(database: Database) -> None:
    """Until a statement in this database waits for another transaction's end."""
    async with asyncio.timeout(30):
        while True:
            async with database.reading() as db:
                if await db.fetchval(
                    "SELECT EXISTS (SELECT FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock')"
                ):
                    return


async def trail(database: Database, id_: UUID) -> list[str]:
    async with database.reading() as db:
        rows = await queries.audit_trail(db, id_)
    return [row["action"] for row in rows]


async def told(database: Database, id_: UUID) -> list[dict[str, Any]]:
    """The events about it, oldest first, with their ``type``."""
    async with database.reading() as db:
        rows = await db.fetch(
            "SELECT type, data FROM outbox WHERE subject = $1 ORDER BY position", str(id_)
        )
    return [row["data"] | {"type": row["type"]} for row in rows]


async def count(database: Database, table: str, appointment_id: UUID) -> int:
    async with database.reading() as db:
        found: int = await db.fetchval(
            f"SELECT count(*) FROM {table} WHERE appointment_id = $1", appointment_id
        )
    return found


async def copies(
    database: Database, id_: UUID, number: int, *, hours: int = 1, **changes: Any
) -> None:
    """So many more like it, each so much later than the one before, and all without claims."""
    async with database.transaction() as db:
        await db.execute(
            """
            INSERT INTO appointments
            SELECT made.* FROM appointments a
            CROSS JOIN generate_series(1, $2) n
            CROSS JOIN LATERAL jsonb_populate_record(a, jsonb_build_object(
                'id', gen_random_uuid(), 'reservation_token_hash', null,
                'starts_at', a.starts_at + make_interval(hours => n * $4),
                'ends_at', a.ends_at + make_interval(hours => n * $4)) || $3) made
            WHERE a.id = $1
            """,
            id_,
            number,
            changes,
            hours,
        )
    async with database.autocommit() as db:
        await db.execute("ANALYZE appointments")


class Explaining:
    """A connection that counts the blocks which its queries touch."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        self.buffers = 0

    async def fetch(self, query: str, *values: Any) -> Any:
        """The rows, after PostgreSQL has said what they cost under either kind of plan."""
        await self._db.execute(f"PREPARE looked AS {query}")
        shown = ", ".join(_literal(value) for value in values)
        for plan_kind in ("force_custom_plan", "force_generic_plan"):
            await self._db.execute(f"SET plan_cache_mode = {plan_kind}")
            text = await self._db.fetchval(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE looked ({shown})"
            )
            plan = json.loads(text)[0]["Plan"]
            blocks = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            self.buffers = max(self.buffers, blocks)
        await self._db.execute("RESET plan_cache_mode; DEALLOCATE looked")
        return await self._db.fetch(query, *values)

    async def fetchval(self, query: str, *values: Any) -> Any:
        return await self._db.fetchval(query, *values)


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return "'{" + ",".join(value) + "}'"
    return f"'{value}'"


async def warm(database: Database, connections: int = 10) -> None:
    """Open them all and let them learn what they will be asked, so that nobody has a lead."""
    barrier = asyncio.Barrier(connections)

    async def one() -> None:
        async with database.reading() as db:
            await queries.locked_origin(db, uuid4())
            await queries.locked(db, uuid4())
            await barrier.wait()

    await asyncio.gather(*(one() for _ in range(connections)))
