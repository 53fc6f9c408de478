"""Many who move, cancel, approve and extend at the same moment, with real commits."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from bookings import consumers
from bookings.domain.lifecycle import IllegalTransition
from bookings.domain.policy import AgainstPolicy
from bookings.queries import Found
from bookings.refusals import HoldExpired, ReservationNotFound, SlotTaken
from bookings.use_cases.cancel import cancel_appointment
from bookings.use_cases.decide import approve_request
from bookings.use_cases.end_hold import expire_due_holds
from bookings.use_cases.extend_hold import extend_hold
from bookings.use_cases.hold import hold_timeslot
from bookings.use_cases.reschedule import Moved
from shared.db import Database

from .builders import a_clinic, a_service, a_wish, an_event
from .moving import Booked, active_of, at, broken_rows

REFUSALS = (IllegalTransition, AgainstPolicy, HoldExpired, SlotTaken, ReservationNotFound)


async def all_at_once(tasks: Sequence[Awaitable[Any]]) -> list[Any]:
    """What came of each; anything but a refusal by the rules fails the test."""
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, REFUSALS):
            raise result
    return results


async def deadlocks(database: Database) -> int:
    async with database.reading() as db:
        count: int = await db.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        return count


async def watch(database: Database, patient: UUID, done: asyncio.Event) -> set[int]:
    """How many appointments the patient was seen to have until all is done."""
    seen = set()
    while not done.is_set():
        async with database.reading() as db:
            seen.add(len(await active_of(db, patient)))
        await asyncio.sleep(0)
    return seen


async def test_of_twenty_moves_at_once_one_wins_and_one_appointment_is_there_all_the_time(
    database: Database,
) -> None:
    booked = await Booked.at_nine(database, await a_clinic(database, staff=3))
    # Ones that overlap the old time, and ones that do not.
    starts = [at(9) + timedelta(minutes=5 * n) for n in (1, -2, 3)]
    starts += [at(11) + timedelta(minutes=30 * n) for n in range(17)]
    wishes = [await booked.hold(start) for start in starts]
    done = asyncio.Event()
    watching = asyncio.create_task(watch(database, booked.patient.id, done))

    results = await all_at_once([booked.move(wish) for wish in wishes])
    done.set()

    assert sum(isinstance(result, Moved) for result in results) == 1
    assert await watching == {1}
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM claims") == 1
        assert await db.fetchval("SELECT count(*) FROM appointments WHERE status = 'held'") == 0
    assert await broken_rows(database) == []
    assert await deadlocks(database) == 0


async def test_one_reservation_used_twenty_times_moves_once(database: Database) -> None:
    booked = await Booked.at_nine(database)
    wish = await booked.hold(at(9, 15))

    results = await all_at_once([booked.move(wish) for _ in range(20)])

    assert len({result.appointment.id for result in results}) == 1
    assert {result.appointment.version for result in results} == {2}
    assert await broken_rows(database) == []


async def test_the_limit_holds_when_every_link_of_the_chain_is_moved_at_once(
    database: Database,
) -> None:
    booked = await Booked.at_nine(database, await a_clinic(database, staff=20))

    for round_ in range(4):
        # Plain holds, of which only the move itself asks whether the limit allows it.
        starts = [at(11 + round_, 2 * n) for n in range(20)]
        wishes = [await booked.hold(start, reschedule_of=None) for start in starts]
        results = await all_at_once([booked.move(wish) for wish in wishes])
        for moved in (result for result in results if isinstance(result, Moved)):
            booked.id = moved.appointment.id

    async with database.reading() as db:
        assert await db.fetchval("SELECT max(reschedule_count) FROM appointments") == 2
        assert (
            await db.fetchval("SELECT count(*) FROM appointments WHERE rescheduled_to IS NOT NULL")
            == 2
        )
    assert await broken_rows(database) == []


async def test_moving_against_cancelling_ends_with_one_appointment_or_none(
    database: Database,
) -> None:
    for minute in (15, 120):
        booked = await Booked.at_nine(database)
        wish = await booked.hold(at(9, 0) + timedelta(minutes=minute))

        async def cancel(booked: Booked = booked) -> None:
            async with database.transaction() as db:
                await cancel_appointment(db, booked.id, reason=None, user=booked.patient)

        tasks: list[Awaitable[Any]] = []
        for _ in range(10):
            tasks += [booked.move(wish), cancel()]
        results = await all_at_once(tasks)

        moved = any(isinstance(result, Moved) for result in results)
        async with database.reading() as db:
            assert len(await active_of(db, booked.patient.id)) == (1 if moved else 0)
        assert await broken_rows(database) == []
    assert await deadlocks(database) == 0


async def test_moving_against_approving_and_cancelling_leaves_one_at_most(
    database: Database,
) -> None:
    clinic = await a_clinic(database, staff=2)
    careful = a_service(clinic.provider.id, requires_approval=True)
    async with database.transaction() as db:
        await consumers.save_appointment_type(db, an_event(careful))
    for with_cancel in (False, True):
        booked = await Booked.at_nine(database, clinic)
        asked = (await booked.move(await booked.hold(at(9, 15), service_id=careful.id))).appointment
        wish = await booked.hold(at(8, 45))

        async def approve(id_: UUID = asked.id, booked: Booked = booked) -> None:
            async with database.transaction() as db:
                await approve_request(db, id_, reason=None, user=booked.provider)

        async def cancel(booked: Booked = booked) -> None:
            async with database.transaction() as db:
                await cancel_appointment(db, booked.id, reason=None, user=booked.provider)

        done = asyncio.Event()
        watching = asyncio.create_task(watch(database, booked.patient.id, done))
        tasks: list[Awaitable[Any]] = []
        for _ in range(10):
            tasks += [approve(), booked.move(wish)] + ([cancel()] if with_cancel else [])
        await all_at_once(tasks)
        done.set()

        assert await watching <= ({0, 1} if with_cancel else {1})
        async with database.reading() as db:
            old = await db.fetchrow("SELECT * FROM appointments WHERE id = $1", booked.id)
            left = await active_of(db, booked.patient.id)
            assert (
                await db.fetchval("SELECT count(*) FROM appointments WHERE status = 'pending'") == 0
            )
        assert [each["id"] for each in left] == [
            id_ for id_ in (old["rescheduled_to"],) if id_ is not None
        ]
        assert await broken_rows(database) == []
        async with database.transaction() as db:
            for each in left:
                await cancel_appointment(db, each["id"], reason=None, user=booked.provider)
    assert await deadlocks(database) == 0


async def test_strangers_never_get_a_part_of_a_time_that_is_just_being_moved(
    database: Database,
) -> None:
    """While the old one lets go and the new one takes over, nobody slips in."""
    for minute in (15, -15):
        booked = await Booked.at_nine(database)
        start = at(9) + timedelta(minutes=minute)
        wish = await booked.hold(start)

        async def stranger(n: int, booked: Booked = booked, start: Any = start) -> Any:
            async with database.autocommit() as db:
                wanted = start + timedelta(minutes=3 * (n % 10) - 15)
                return await hold_timeslot(db, a_wish(booked.clinic, start=wanted))

        tasks: list[Awaitable[Any]] = [stranger(n) for n in range(20)]
        tasks.insert(10, booked.move(wish))
        results = await all_at_once(tasks)

        moved = next(result for result in results if isinstance(result, Moved))
        async with database.reading() as db:
            mine = await db.fetchval(
                "SELECT period FROM claims WHERE appointment_id = $1", moved.appointment.id
            )
        assert (mine.lower, mine.upper) == (start, start + timedelta(minutes=30))
        assert await broken_rows(database) == []


async def test_extending_against_expiring_leaves_a_live_hold_or_an_ended_one(
    database: Database,
) -> None:
    booked = await Booked.at_nine(database)
    wishes = [await booked.hold(at(11 + n), reschedule_of=None) for n in range(10)]
    # All but one end while they are extended, or before that on a machine that is slow.
    async with database.transaction() as db:
        holds = await db.fetch(
            "UPDATE appointments SET hold_expires_at = now() + CASE "
            "WHEN reservation_token_hash = $1 THEN interval '1 minute' ELSE interval '20 ms' END "
            "WHERE status = 'held' RETURNING id, reservation_token_hash",
            wishes[0].token_hash,
        )

    async def extend(row: Any) -> Any:
        async with database.transaction() as db:
            return await extend_hold(db, row["id"], token_hash=row["reservation_token_hash"])

    async def expire() -> None:
        async with database.transaction() as db:
            await expire_due_holds(db)

    tasks: list[Awaitable[Any]] = []
    for row in holds:
        tasks += [extend(row), expire(), extend(row)]
    results = await all_at_once(tasks)
    await expire()

    assert len(wishes) == 10
    assert any(isinstance(result, Found) for result in results)
    async with database.reading() as db:
        rows = await db.fetch(
            "SELECT status, hold_expires_at > now() AS live, (SELECT count(*) FROM claims c "
            "WHERE c.appointment_id = a.id) AS claims FROM appointments a "
            "WHERE hold_expires_at IS NOT NULL"
        )
    assert {(row["status"], row["live"], row["claims"]) for row in rows} <= {
        ("held", True, 1),
        ("cancelled", False, 0),
    }
    assert await broken_rows(database) == []
