"""The word that bookable times have changed: once a tick and provider, and after the fact."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

from availability.announcing import announce_changes
from availability.domain.schedule import ExceptionKind
from availability.set_up import SetUps
from availability.use_cases.exceptions import (
    NewException,
    add_exception,
    change_exception,
    remove_exception,
)
from availability.use_cases.providers import change_provider
from shared.db import Database
from shared.events.availability import AvailabilityChanged

from .builders import DAY, MINUTE, a_booking, a_practice, in_days, later, receive


async def tick(database: Database) -> list[AvailabilityChanged]:
    """What one tick of the worker announces."""
    async with database.transaction() as db:
        before = await db.fetchval("SELECT coalesce(max(position), 0) FROM outbox")
        await announce_changes(db, SetUps())
        rows = await db.fetch(
            "SELECT subject, sequence, data FROM outbox WHERE position > $1 "
            "AND type = 'availability.changed' ORDER BY subject",
            before,
        )
    events = [AvailabilityChanged.model_validate(row["data"]) for row in rows]
    for row, event in zip(rows, events, strict=True):
        assert (row["subject"], row["sequence"]) == (event.subject, event.sequence)
    return events


async def version(database: Database, provider_id: object) -> Any:
    async with database.reading() as db:
        return await db.fetchval(
            "SELECT version FROM schedule_versions WHERE provider_id = $1", provider_id
        )


async def test_many_changes_of_one_provider_are_one_event(database: Database) -> None:
    practice, other = await a_practice(database), await a_practice(database)
    await tick(database)
    nine, ten = in_days(3), in_days(3, 10)
    held = a_booking(practice, nine, "held")

    await receive(
        database,
        held,
        a_booking(practice, ten),
        later(held, practice, "confirmed"),
        a_booking(other, ten, "held"),
    )
    events = {event.provider_id: event for event in await tick(database)}

    mine, theirs = events[practice.provider_id], events[other.provider_id]
    assert mine.version == await version(database, practice.provider_id)
    assert (mine.start, mine.end, mine.is_complete) == (nine, ten + 30 * MINUTE, True)
    assert [(t.timeslot_id, t.start, t.status, t.capacity_left) for t in mine.timeslots] == [
        (practice.timeslot_id(nine), nine, "booked", 0),
        (practice.timeslot_id(ten), ten, "booked", 0),
    ]
    assert [(t.start, t.status) for t in theirs.timeslots] == [(ten, "reserved")]
    assert await tick(database) == []


async def test_every_timeslot_that_is_touched_is_named(database: Database) -> None:
    practice = await a_practice(
        database, rule={"slot_interval_minutes": 15}, buffer_after_minutes=10
    )
    await tick(database)
    ten = in_days(3, 10)
    booked = a_booking(practice, ten)
    await receive(database, booked)

    (event,) = await tick(database)
    await receive(database, later(booked, practice, "cancelled"))
    (freed,) = await tick(database)

    touched = [ten + n * 15 * MINUTE for n in range(-2, 3)]
    assert [(t.start, t.status) for t in event.timeslots] == [(at, "booked") for at in touched]
    assert [(t.start, t.status) for t in freed.timeslots] == [(at, "available") for at in touched]
    assert freed.version > event.version


async def test_an_old_or_repeated_event_is_no_change(database: Database) -> None:
    practice = await a_practice(database)
    held = a_booking(practice, in_days(3), "held")
    confirmed = later(held, practice, "confirmed")
    await receive(database, confirmed)
    await tick(database)
    before = await version(database, practice.provider_id)

    await receive(database, held, confirmed)

    assert await tick(database) == []
    assert await version(database, practice.provider_id) == before


async def test_after_a_change_of_set_up_one_has_to_ask_again(database: Database) -> None:
    practice = await a_practice(database)
    await tick(database)
    async with database.orm_transaction() as db:
        await change_provider(db, practice.provider_id, {"timezone": "Asia/Tokyo"})
    await receive(database, a_booking(practice, in_days(3)))

    (event,) = await tick(database)

    assert (event.start, event.end, event.is_complete, event.timeslots) == (None, None, False, [])


async def test_an_exception_changes_its_own_time(database: Database) -> None:
    practice = await a_practice(database)
    await tick(database)
    start = in_days(3, 10)
    async with database.orm_transaction() as db:
        new = NewException(
            kind=ExceptionKind.BLOCKED, starts_at=start, ends_at=start + timedelta(hours=1)
        )
        exception = await add_exception(db, practice.provider_id, new)

    (blocked,) = await tick(database)
    async with database.orm_transaction() as db:
        changes = {"ends_at": start + timedelta(minutes=30)}
        await change_exception(db, practice.provider_id, exception.id, changes)
    (shortened,) = await tick(database)

    assert (blocked.start, blocked.end) == (start, start + timedelta(hours=1))
    assert blocked.timeslots == []
    assert [t.start for t in shortened.timeslots] == [start + 30 * MINUTE]


async def test_too_much_at_once_is_left_to_be_asked_for(database: Database) -> None:
    practice = await a_practice(database)
    await tick(database)
    start = in_days(3)

    async def opened(length: timedelta) -> AvailabilityChanged:
        kind = ExceptionKind.AVAILABLE
        async with database.orm_transaction() as db:
            new = NewException(kind=kind, starts_at=start, ends_at=start + length)
            exception = await add_exception(db, practice.provider_id, new)
        (event,) = await tick(database)
        async with database.orm_transaction() as db:
            await remove_exception(db, practice.provider_id, exception.id)
        await tick(database)
        return event

    day, week, season = [await opened(n * DAY) for n in (1, 7, 90)]

    assert day.is_complete
    assert len(day.timeslots) > 80
    for event in (week, season):
        assert (event.is_complete, event.timeslots) == (False, [])
        assert event.start == start


async def test_what_is_gone_is_announced_without_timeslots(database: Database) -> None:
    practice = await a_practice(database)
    stranger = uuid4()
    async with database.orm_transaction() as db:
        await change_provider(db, practice.provider_id, {"is_active": False})
    await tick(database)

    await receive(
        database,
        a_booking(practice, in_days(3)),
        a_booking(practice, in_days(4), provider_id=stranger),
    )
    events = await tick(database)

    assert [event.provider_id for event in events] == [practice.provider_id]
    assert events[0].timeslots == []
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM schedule_changes") == 0


async def test_a_change_is_announced_only_after_its_commit(database: Database) -> None:
    practice = await a_practice(database)
    await tick(database)
    start = in_days(3)
    new = NewException(kind=ExceptionKind.BLOCKED, starts_at=start, ends_at=start + DAY)

    async with database.orm_transaction() as db:
        await add_exception(db, practice.provider_id, new)
        assert await tick(database) == []

    assert len(await tick(database)) == 1


async def test_of_several_workers_one_announces(database: Database) -> None:
    practices = [await a_practice(database) for _ in range(3)]
    await asyncio.gather(*(tick(database) for _ in range(5)))
    await tick(database)
    await receive(database, *(a_booking(each, in_days(3)) for each in practices))

    await asyncio.gather(*(tick(database) for _ in range(8)))
    await tick(database)

    async with database.reading() as db:
        rows = await db.fetch(
            "SELECT subject, count(*) AS times FROM outbox WHERE type = 'availability.changed' "
            "AND (data ->> 'isComplete')::boolean GROUP BY subject"
        )
    assert {row["subject"]: row["times"] for row in rows} == {
        str(each.provider_id): 1 for each in practices
    }
