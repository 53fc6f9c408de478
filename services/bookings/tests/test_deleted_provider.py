"""What is still to come at a provider who was deleted is cancelled by the system, each once."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from bookings import consumers
from bookings.domain.appointment import Appointment
from bookings.domain.lifecycle import Status
from bookings.use_cases.cancel import cancel_at_deleted_providers
from shared.db import Database
from shared.events.provider import ProviderDeleted
from shared.testing.leftovers import leftovers

from .builders import Clinic, a_clinic, an_event, tomorrow
from .moving import Booked, at, broken_rows
from .stage import a_booking, after, as_it_is, overdue, told, trail

DAY = timedelta(days=1)


async def delete(database: Database, clinic: Clinic) -> None:
    gone = ProviderDeleted(id=clinic.provider.id, version=clinic.provider.version + 1)
    async with database.transaction() as db:
        await consumers.retire_provider(db, an_event(gone))


async def sweep(database: Database, **options: Any) -> int:
    async with database.transaction() as db:
        return await cancel_at_deleted_providers(db, **options)


async def some(database: Database, clinic: Clinic, count: int) -> list[Appointment]:
    return [
        await a_booking(database, clinic, start=tomorrow() + number * DAY)
        for number in range(count)
    ]


async def test_what_is_to_come_is_cancelled_by_the_system_at_no_cost(database: Database) -> None:
    clinic = await a_clinic(database)
    booked = await a_booking(database, clinic)
    await delete(database, clinic)

    assert await sweep(database) == 1
    assert await sweep(database) == 0

    ended = (await as_it_is(database, booked.id)).cancellation
    assert ended is not None
    assert (ended.cause, ended.by.type.value, ended.fee_cents) == ("system", "system", 0)
    assert ended.reason == "the provider no longer offers appointments here"
    assert await trail(database, booked.id) == ["held_created", "confirmed", "cancelled_by_system"]
    told_of = await told(database, booked.id)
    assert (len(told_of), told_of[-1]["status"]) == (3, "cancelled")
    assert await broken_rows(database) == []


async def test_requests_end_too_and_what_has_begun_or_is_elsewhere_stays(
    database: Database,
) -> None:
    clinic, other = await a_clinic(database, requires_approval=True), await a_clinic(database)
    asked = await a_booking(database, clinic)
    unanswered = await a_booking(database, clinic, start=tomorrow() + DAY)
    begun = await a_booking(database, clinic, start=tomorrow() + 2 * DAY)
    elsewhere = await a_booking(database, other)
    await overdue(database, unanswered.id)
    await after(database, 4 * DAY, begun.id)
    await delete(database, clinic)

    while await sweep(database):
        pass

    causes = [
        (await as_it_is(database, each.id)).cancellation for each in (asked, unanswered, begun)
    ]
    assert [each and each.cause for each in causes] == ["system", "pending_expired", None]
    assert (await as_it_is(database, elsewhere.id)).status is Status.CONFIRMED


async def test_a_request_to_move_ends_with_what_it_would_have_moved(database: Database) -> None:
    clinic = await a_clinic(database)
    booked = await Booked.at_nine(database, clinic)
    clinic.service = clinic.service.model_copy(update={"version": 2, "requires_approval": True})
    async with database.transaction() as db:
        await consumers.save_appointment_type(db, an_event(clinic.service))
    asked = (await booked.moved_to(at(11))).appointment
    await delete(database, clinic)

    while await sweep(database):
        pass

    for id_ in (booked.id, asked.id):
        assert (await as_it_is(database, id_)).status is Status.CANCELLED
        assert (await trail(database, id_)).count("cancelled_by_system") == 1
    assert await broken_rows(database) == []


async def test_a_worker_that_is_stopped_in_the_middle_loses_nothing(database: Database) -> None:
    clinic = await a_clinic(database)
    booked = await some(database, clinic, 5)
    await delete(database, clinic)

    async def stopped() -> None:
        async with database.transaction() as db:
            await cancel_at_deleted_providers(db, limit=2)
            raise asyncio.CancelledError

    assert await sweep(database, limit=2) == 2
    await asyncio.gather(stopped(), return_exceptions=True)
    assert await _ended(database, booked) == 2
    while await sweep(database, limit=2):
        pass

    assert await _ended(database, booked) == 5


async def test_of_many_workers_each_appointment_is_cancelled_once(database: Database) -> None:
    clinic = await a_clinic(database)
    booked = await some(database, clinic, 10)
    await delete(database, clinic)

    done = await asyncio.gather(*(sweep(database, limit=3) for _ in range(20)))
    while await sweep(database):
        pass

    assert sum(done) <= 10
    assert await _ended(database, booked) == 10
    for each in booked:
        assert (await trail(database, each.id)).count("cancelled_by_system") == 1


async def test_a_provider_who_only_pauses_keeps_the_appointments(database: Database) -> None:
    clinic = await a_clinic(database)
    booked = await some(database, clinic, 1)
    pausing = clinic.provider.model_copy(update={"version": 2, "is_active": False})
    async with database.transaction() as db:
        await consumers.save_provider(db, an_event(pausing))

    assert await sweep(database) == 0
    assert await _ended(database, booked) == 0


async def _ended(database: Database, booked: list[Appointment]) -> int:
    ids: list[UUID] = [each.id for each in booked]
    return sum([(await as_it_is(database, id_)).status is Status.CANCELLED for id_ in ids])


async def test_how_the_provider_was_reached_is_forgotten(database: Database) -> None:
    clinic = await a_clinic(database)
    assert clinic.provider.email is not None
    async with database.reading() as db:
        before = await leftovers(db, [clinic.provider.email])

    await delete(database, clinic)

    assert before == [f"public.providers: {clinic.provider.email}"]
    async with database.reading() as db:
        assert await leftovers(db, [clinic.provider.email]) == []
