"""Holding a timeslot: all that is needed or nothing, and never twice the same unit."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest

from bookings.domain.policy import AgainstPolicy
from bookings.refusals import ServiceNotFound, SlotTaken
from bookings.use_cases.hold import Wish, hold_timeslot
from shared.db import Database

from .builders import a_clinic, a_wish, tomorrow


async def attempt(database: Database, wish: Wish) -> str:
    async with database.autocommit() as db:
        try:
            await hold_timeslot(db, wish)
        except SlotTaken:
            return "taken"
        return "held"


async def claims(database: Database) -> int:
    async with database.reading() as db:
        count: int = await db.fetchval("SELECT count(*) FROM claims")
        return count


async def overlapping_claims(database: Database) -> int:
    async with database.reading() as db:
        count: int = await db.fetchval(
            """
            SELECT count(*) FROM claims a JOIN claims b
            ON a.resource_id = b.resource_id AND a.period && b.period
               AND a.appointment_id < b.appointment_id
            """
        )
        return count


async def test_a_hold_claims_its_buffers_and_is_announced_and_audited(database: Database) -> None:
    clinic = await a_clinic(database, buffer_before_minutes=10, buffer_after_minutes=5)
    wish = a_wish(clinic)

    async with database.autocommit() as db:
        hold, now = await hold_timeslot(db, wish)

    async with database.reading() as db:
        claim = await db.fetchrow("SELECT * FROM claims")
        event = await db.fetchrow("SELECT * FROM outbox")
        audit = await db.fetchrow("SELECT * FROM audit_events")
    assert claim["appointment_id"] == hold.id
    assert claim["period"].lower == wish.start - timedelta(minutes=10)
    assert claim["period"].upper == wish.start + timedelta(minutes=35)
    assert hold.hold_expires_at == now + timedelta(seconds=120)
    assert (event["type"], event["subject"], event["sequence"]) == ("booking.held", str(hold.id), 1)
    assert event["data"]["claims"][0]["resourceId"] == str(clinic.resources[0].id)
    assert (audit["action"], audit["sequence"]) == ("held_created", 1)


@pytest.mark.parametrize("staff", [1, 3])
async def test_of_a_hundred_at_once_exactly_the_capacity_wins(
    database: Database, staff: int
) -> None:
    clinic = await a_clinic(database, staff=staff)

    results = await asyncio.gather(*(attempt(database, a_wish(clinic)) for _ in range(100)))

    assert Counter(results) == {"held": staff, "taken": 100 - staff}
    assert await claims(database) == staff
    assert await overlapping_claims(database) == 0


async def test_a_stampede_for_two_resources_neither_deadlocks_nor_leaves_halves(
    database: Database,
) -> None:
    clinic = await a_clinic(
        database, staff=2, mode="video", resources=[{"kind": "telehealth_slot"}] * 3
    )

    results = await asyncio.gather(*(attempt(database, a_wish(clinic)) for _ in range(100)))

    assert Counter(results) == {"held": 2, "taken": 98}
    assert await claims(database) == 4
    async with database.reading() as db:
        deadlocks = await db.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
    assert deadlocks == 0


async def test_overlapping_starts_compete_for_the_same_unit(database: Database) -> None:
    clinic = await a_clinic(database)
    starts = [tomorrow(9, minute) for minute in (0, 10, 20, 30, 40, 50)] * 17

    results = await asyncio.gather(
        *(attempt(database, a_wish(clinic, start=start)) for start in starts)
    )

    assert 1 <= Counter(results)["held"] <= 2
    assert await overlapping_claims(database) == 0


async def test_claims_may_touch(database: Database) -> None:
    clinic = await a_clinic(database)

    first = await attempt(database, a_wish(clinic, start=tomorrow(9, 0)))
    second = await attempt(database, a_wish(clinic, start=tomorrow(9, 30)))

    assert (first, second) == ("held", "held")


async def test_an_expired_hold_gives_way_without_any_worker(database: Database) -> None:
    clinic = await a_clinic(database)
    async with database.autocommit() as db:
        old, _ = await hold_timeslot(db, a_wish(clinic))
        await db.execute("UPDATE appointments SET hold_expires_at = now() - interval '1 ms'")

    results = await asyncio.gather(*(attempt(database, a_wish(clinic)) for _ in range(100)))

    assert Counter(results) == {"held": 1, "taken": 99}
    async with database.reading() as db:
        status = await db.fetchval("SELECT status FROM appointments WHERE id = $1", old.id)
        trail = await db.fetch(
            "SELECT action FROM audit_events WHERE appointment_id = $1 ORDER BY sequence", old.id
        )
        told = await db.fetchval(
            "SELECT data -> 'cancellation' ->> 'cause' FROM outbox "
            "WHERE subject = $1 AND type = 'booking.cancelled'",
            str(old.id),
        )
    assert status == "cancelled"
    assert [row["action"] for row in trail] == ["held_created", "hold_expired"]
    assert told == "hold_expired"


async def test_holding_again_gives_the_same_hold_under_the_new_token(database: Database) -> None:
    clinic = await a_clinic(database)
    patient = uuid4()
    first, second = (a_wish(clinic, patient_id=patient) for _ in range(2))

    async with database.autocommit() as db:
        held, _ = await hold_timeslot(db, first)
        again, _ = await hold_timeslot(db, second)
        stored = await db.fetchval("SELECT reservation_token_hash FROM appointments")

    assert again.id == held.id
    assert again.hold_expires_at == held.hold_expires_at
    assert stored == second.token_hash
    assert await claims(database) == 1


async def test_equipment_is_claimed_by_its_label(database: Database) -> None:
    clinic = await a_clinic(
        database,
        staff=5,
        required_equipment=["ultrasound"],
        resources=[
            {"kind": "equipment", "label": "ultrasound"},
            {"kind": "equipment", "label": "laser"},
        ],
    )

    first = await attempt(database, a_wish(clinic))
    second = await attempt(database, a_wish(clinic))

    assert (first, second) == ("held", "taken")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"service_id": uuid4()}, ServiceNotFound),
        ({"provider_id": uuid4()}, ServiceNotFound),
        ({"mode": "video"}, ServiceNotFound),
        ({"start": tomorrow() - timedelta(days=3)}, AgainstPolicy),
        ({"start": tomorrow() + timedelta(days=400)}, AgainstPolicy),
    ],
)
async def test_what_the_rules_forbid_is_not_held(
    database: Database, changes: dict[str, object], refusal: type[Exception]
) -> None:
    clinic = await a_clinic(database)

    async with database.autocommit() as db:
        with pytest.raises(refusal):
            await hold_timeslot(db, a_wish(clinic, **changes))

    assert await claims(database) == 0


async def test_a_retired_service_cannot_be_held(database: Database) -> None:
    clinic = await a_clinic(database, is_active=False)

    async with database.autocommit() as db:
        with pytest.raises(ServiceNotFound):
            await hold_timeslot(db, a_wish(clinic))
