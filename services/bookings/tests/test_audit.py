"""The chain of the audit trail: any change to any entry shows."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from bookings.domain.appointment import SYSTEM, Actor, ActorType
from bookings.domain.audit import FIRST, Entry, hash_of
from bookings.use_cases.end_hold import expire_due_holds
from bookings.use_cases.hold import hold_timeslot
from shared.db import Database

from .builders import NOW, a_clinic, a_wish

ENTRY = Entry(uuid4(), 1, "confirmed", Actor(ActorType.PATIENT, uuid4()), NOW, {"a": 1})


@pytest.mark.parametrize(
    "change",
    [
        {"appointment_id": uuid4()},
        {"sequence": 2},
        {"action": "cancelled_by_patient"},
        {"actor": SYSTEM},
        {"at": NOW + timedelta(microseconds=1)},
        {"metadata": {"a": 2}},
    ],
)
def test_every_field_is_covered_by_the_hash(change: dict[str, Any]) -> None:
    assert hash_of(replace(ENTRY, **change), FIRST) != hash_of(ENTRY, FIRST)


def test_each_hash_covers_the_one_before() -> None:
    assert hash_of(ENTRY, b"x") != hash_of(ENTRY, FIRST)


async def test_the_stored_trail_is_a_chain_up_to_the_appointments_own_hash(
    database: Database,
) -> None:
    async with database.autocommit() as db:
        await hold_timeslot(db, a_wish(await a_clinic(database)))
    async with database.transaction() as db:
        await db.execute("UPDATE appointments SET hold_expires_at = now()")
        await expire_due_holds(db)

    async with database.reading() as db:
        rows = await db.fetch("SELECT * FROM audit_events ORDER BY sequence")
        head = await db.fetchval("SELECT audit_hash FROM appointments")
    previous = FIRST
    for row in rows:
        entry = Entry(
            row["appointment_id"],
            row["sequence"],
            row["action"],
            Actor(ActorType(row["actor_type"]), row["actor_id"]),
            row["occurred_at"],
            row["metadata"],
        )
        assert row["previous_hash"] == previous
        assert row["hash"] == hash_of(entry, previous)
        previous = row["hash"]
    assert [row["action"] for row in rows] == ["held_created", "hold_expired"]
    assert head == previous
