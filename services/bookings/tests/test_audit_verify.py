"""``python -m bookings.audit verify``: whoever tampers with a trail, with any rights, shows."""

import os
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from bookings import audit
from bookings.audit import arguments_of, run
from bookings.domain.appointment import Appointment
from bookings.use_cases.cancel import cancel_appointment
from bookings.use_cases.notes import add_note
from shared.db import Database

from .builders import a_clinic, tomorrow
from .stage import ADMIN, a_booking, provider_of


async def verified(database_url: str, *words: str) -> tuple[int, str]:
    """Exit code and output of the command as an operator runs it."""
    environment = {**os.environ, "BOOKINGS_DATABASE_URL": database_url}
    process = await create_subprocess_exec(
        sys.executable,
        *("-m", "bookings.audit", "verify", *words),
        stdout=PIPE,
        stderr=PIPE,
        env=environment,
    )
    out, err = await process.communicate()
    return process.returncode or 0, (out + err).decode()


async def judged(database_url: str, *words: str) -> str:
    """What it writes, without a process of its own."""
    written: list[str] = []
    environment = {"BOOKINGS_DATABASE_URL": database_url}
    await run(arguments_of(["verify", *words]), environment, written.append)
    return "".join(written)


async def a_history(database: Database) -> Appointment:
    """Four entries: held, confirmed, a note, cancelled. And one other appointment after it."""
    clinic = await a_clinic(database)
    appointment = await a_booking(database, clinic)
    async with database.transaction() as db:
        await add_note(
            db, appointment.id, text="secret", visibility="provider", user=provider_of(clinic)
        )
        await cancel_appointment(db, appointment.id, reason=None, user=ADMIN)
    await a_booking(database, clinic, start=tomorrow() + timedelta(hours=2))
    return appointment


async def tamper(owner_url: str, statement: str, id_: UUID) -> None:
    """As the role that owns the table, and so may switch its trigger off."""
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute("ALTER TABLE audit_events DISABLE TRIGGER USER")
        changed = await owner.execute(statement, id_)
        assert changed not in ("UPDATE 0", "DELETE 0", "INSERT 0 0")
        await owner.execute("ALTER TABLE audit_events ENABLE TRIGGER USER")
    finally:
        await owner.close()


async def test_an_untouched_trail_is_intact(database: Database, database_url: str) -> None:
    appointment = await a_history(database)

    assert await verified(database_url) == (0, "intact: 2 appointments, 6 entries\n")
    assert await verified(database_url, "--appointment", str(appointment.id)) == (
        0,
        "intact: 1 appointments, 4 entries\n",
    )


ONE = "WHERE appointment_id = $1 AND sequence ="
TAMPERED = {
    "metadata": (f"""UPDATE audit_events SET metadata = '{{"a": 1}}' {ONE} 2""", 2, "content"),
    "actor": (f"UPDATE audit_events SET actor_id = gen_random_uuid() {ONE} 4", 4, "content"),
    "kind of actor": (f"UPDATE audit_events SET actor_type = 'robot' {ONE} 4", 4, "content"),
    "action": (f"UPDATE audit_events SET action = 'completed' {ONE} 4", 4, "content"),
    "time": (
        f"UPDATE audit_events SET occurred_at = occurred_at - interval '1 s' {ONE} 1",
        1,
        "content",
    ),
    "hash": (f"UPDATE audit_events SET hash = '\\x00' {ONE} 3", 3, "content"),
    "previous hash": (f"UPDATE audit_events SET previous_hash = '\\x00' {ONE} 3", 3, "follow"),
    "first row": (f"DELETE FROM audit_events {ONE} 1", 1, "gone"),
    "middle row": (f"DELETE FROM audit_events {ONE} 2", 2, "gone"),
    "last row": (f"DELETE FROM audit_events {ONE} 4", 4, "gone"),
    "all rows": ("DELETE FROM audit_events WHERE appointment_id = $1", 1, "gone"),
    "closed gap": (
        f"WITH gone AS (DELETE FROM audit_events {ONE} 2) "
        "UPDATE audit_events SET sequence = sequence + 10 WHERE appointment_id = $1 "
        "AND sequence > 2",
        2,
        "gone",
    ),
    "row too many": (
        "INSERT INTO audit_events SELECT gen_random_uuid(), appointment_id, 5, action, actor_type, "
        f"actor_id, occurred_at, metadata, hash, hash FROM audit_events {ONE} 4",
        5,
        "content",
    ),
    "what the appointment knows": (
        "UPDATE appointments SET audit_hash = '\\x00' WHERE id = $1",
        4,
        "another hash",
    ),
    "number that the appointment knows": (
        "UPDATE appointments SET audit_sequence = 3 WHERE id = $1",
        4,
        "knows nothing",
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_what_the_tables_owner_changes_is_found(
    database: Database, database_url: str, owner_url: str, what: str
) -> None:
    statement, entry, reason = TAMPERED[what]
    appointment = await a_history(database)
    await tamper(owner_url, statement, appointment.id)

    for words in ((), ("--appointment", str(appointment.id))):
        report = await judged(database_url, *words)
        assert report.startswith(f"BROKEN appointment {appointment.id} entry {entry}: ")
        assert reason in report


async def test_entries_whose_appointment_is_gone_are_found(
    database: Database, database_url: str, owner_url: str
) -> None:
    appointment = await a_history(database)
    owner = await asyncpg.connect(owner_url)
    try:
        for table in ("audit_events", "appointment_notes"):
            await owner.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_appointment_id_fkey")
        await owner.execute("DELETE FROM appointments WHERE id = $1", appointment.id)
    finally:
        await owner.close()

    report = await judged(database_url)

    assert report == f"BROKEN appointment {appointment.id} entry 1: its appointment is gone\n"


async def test_the_exit_code_tells_a_broken_trail_from_a_failed_command(
    database: Database, database_url: str, owner_url: str
) -> None:
    appointment = await a_history(database)
    await tamper(owner_url, f"DELETE FROM audit_events {ONE} 2", appointment.id)

    code, output = await verified(database_url)

    assert code == 1
    assert f"{appointment.id} entry 2" in output
    assert (await verified(database_url, "--appointment", str(uuid4())))[0] == 2
    assert (await verified("postgresql://nobody@127.0.0.1:1/none"))[0] == 2
    assert (await verified(""))[0] == 2


async def test_it_streams_in_the_order_of_the_indexes(database: Database) -> None:
    await a_history(database)
    async with database.transaction() as db:
        for plan in ("hashjoin", "seqscan"):
            await db.execute(f"SET LOCAL enable_{plan} = off")
        rows = await db.fetch(f"EXPLAIN (COSTS OFF) {audit._TRAILS}", None)

    steps = {row[0].split("->")[-1].strip() for row in rows}
    assert "Incremental Sort" in steps
    assert "Merge Left Join" in steps
    assert "Sort" not in steps
