"""`availability.conflict_found`: told once, of exactly the appointments that a change has hit."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from availability.domain.resources import Mode
from availability.domain.schedule import ExceptionKind, Scope
from availability.use_cases.bulk_upsert import Week, bulk_upsert
from availability.use_cases.conflicts import announce_busy_conflicts
from availability.use_cases.exceptions import (
    NewException,
    add_exception,
    change_exception,
    remove_exception,
)
from availability.use_cases.locations import NewRoom
from availability.use_cases.rules import NewRule
from availability.use_cases.time_off import (
    NewTimeOff,
    approve_time_off,
    request_time_off,
    withdraw_time_off,
)
from shared.auth import Principal, Role
from shared.db import Database
from shared.events.availability import ConflictFound
from shared.events.calendar import BusyTime, CalendarBusyChanged
from shared.preconditions import Precondition

from .builders import DAY, Practice, a_booking, a_practice, a_rule, in_days, receive

ADMIN = Principal(uuid4(), Role.ADMIN)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
START = in_days(5, 9)


async def conflicts(database: Database) -> list[ConflictFound]:
    """All that have been told."""
    async with database.reading() as db:
        rows = await db.fetch(
            "SELECT o.data, o.sequence, v.version FROM outbox o JOIN schedule_versions v "
            "ON v.provider_id::text = o.subject WHERE type = $1 ORDER BY position",
            ConflictFound.type,
        )
    found = [ConflictFound.model_validate(row["data"]) for row in rows]
    assert [each.sequence for each in found] == [row["sequence"] for row in rows]
    return found


async def told(database: Database) -> list[tuple[str, UUID | None, list[UUID]]]:
    return [
        (each.cause, each.cause_id, [one.id for one in each.appointments])
        for each in await conflicts(database)
    ]


async def save(database: Database, practice: Practice, *rules: NewRule, **more: Any) -> None:
    """The whole week anew; only these windows are in it."""
    week = Week(
        scope=more.get("scope", Scope()),
        timezone=more.get("timezone", "UTC"),
        weekdays=frozenset(range(1, 8)),
        windows={f"days.0.windows.{number}": rule for number, rule in enumerate(rules)},
    )
    async with database.orm_transaction() as db:
        await bulk_upsert(
            db,
            practice.provider_id,
            week,
            replaces=more.get("replaces", True),
            expected=Precondition(None),
        )


def every_day(start: int, end: int, **changes: Any) -> list[NewRule]:
    return [a_rule(day, start_minute=start, end_minute=end, **changes) for day in range(1, 8)]


async def block(
    database: Database, practice: Practice, start: datetime, end: datetime, **changes: Any
) -> UUID:
    new = NewException(
        **{"kind": ExceptionKind.BLOCKED, "starts_at": start, "ends_at": end} | changes
    )
    async with database.orm_transaction() as db:
        await add_exception(db, practice.provider_id, new)
    return new.id


async def test_new_hours_name_who_has_fallen_out_of_them_once(database: Database) -> None:
    practice = await a_practice(database, buffer_after_minutes=15)
    early, middle = (a_booking(practice, START + n * HOUR) for n in (0, 1))
    pending = a_booking(practice, START + DAY, "pending")
    gone = [
        a_booking(practice, START, "cancelled"),
        a_booking(practice, START, "held"),
        a_booking(practice, START - 20 * DAY),
        a_booking(practice, START - 6 * HOUR),
    ]
    await receive(database, early, middle, pending, *gone)

    await save(database, practice, *every_day(10 * 60, 12 * 60))
    await save(database, practice, *every_day(10 * 60, 12 * 60))
    await save(database, practice, *every_day(10 * 60, 13 * 60))

    [event] = await conflicts(database)
    assert (event.provider_id, event.cause, event.cause_id) == (practice.provider_id, "rules", None)
    assert event.is_complete
    assert [each.id for each in event.appointments] == [early.id, pending.id]
    first = event.appointments[0]
    assert (first.start, first.end, first.user_id) == (early.start, early.end, early.user_id)
    assert (first.service_id, first.mode, first.status) == (
        practice.service_id,
        "phone",
        "confirmed",
    )


async def test_what_is_told_is_what_the_preview_has_shown(database: Database) -> None:
    practice = await a_practice(database, buffer_after_minutes=15)
    edge = a_booking(practice, START + 2 * HOUR)
    await receive(database, edge)

    await save(database, practice, *every_day(9 * 60, 11 * 60 + 45))
    assert await told(database) == []
    await save(database, practice, *every_day(9 * 60, 11 * 60 + 30))

    assert await told(database) == [("rules", None, [edge.id])]


async def test_windows_that_touch_hold_an_appointment_together(database: Database) -> None:
    practice = await a_practice(database)
    across = a_booking(practice, START + 45 * MINUTE)
    await receive(database, across)

    await save(database, practice, *every_day(9 * 60, 10 * 60), *every_day(10 * 60, 12 * 60))

    assert await told(database) == []


async def test_hours_of_another_scope_hit_nobody(database: Database) -> None:
    practice = await a_practice(database)
    await receive(database, a_booking(practice, START))

    await save(
        database,
        practice,
        *every_day(14 * 60, 15 * 60, scope_mode=Mode.VIDEO),
        scope=Scope(mode=Mode.VIDEO),
    )

    assert await told(database) == []


async def test_a_block_names_whom_it_meets_buffers_included(database: Database) -> None:
    practice = await a_practice(database, buffer_after_minutes=15)
    first, second = (a_booking(practice, START + n * HOUR) for n in (0, 1))
    await receive(database, first, second)

    await block(database, practice, START + 45 * MINUTE, START + HOUR)
    in_buffer = await block(database, practice, START + 44 * MINUTE, START + 45 * MINUTE)
    wider = await block(database, practice, START, START + DAY)

    assert await told(database) == [
        ("exception", in_buffer, [first.id]),
        ("exception", wider, [second.id]),
    ]


async def test_a_block_of_another_service_or_room_hits_nobody(database: Database) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1"), NewRoom(name="2")])
    booked = a_booking(
        practice, START, room_id=None, units=[practice.unit_ids[0], practice.unit_ids[1]]
    )
    await receive(database, booked)
    async with database.reading() as db:
        room = await db.fetchval(
            "SELECT room_id FROM resources WHERE id = $1", practice.unit_ids[1]
        )
    other = next(each for each in practice.room_ids if each != room)

    await block(database, practice, START, START + HOUR, scope_room_id=other)
    assert await told(database) == []
    of_room = await block(database, practice, START, START + HOUR, scope_room_id=room)

    assert await told(database) == [("exception", of_room, [booked.id])]


async def test_an_exception_that_changes_or_goes_names_whom_that_hits(database: Database) -> None:
    practice = await a_practice(database, weekdays=())
    opened = await block(database, practice, START, START + 3 * HOUR, kind=ExceptionKind.AVAILABLE)
    first, last = a_booking(practice, START), a_booking(practice, START + 2 * HOUR)
    await receive(database, first, last)

    async with database.orm_transaction() as db:
        await change_exception(db, practice.provider_id, opened, {"ends_at": START + 2 * HOUR})
    async with database.orm_transaction() as db:
        await change_exception(db, practice.provider_id, opened, {"reason": "Extra hours"})
    async with database.orm_transaction() as db:
        await remove_exception(db, practice.provider_id, opened)

    assert await told(database) == [
        ("exception", opened, [last.id]),
        ("exception", opened, [first.id]),
    ]


async def test_time_off_names_whom_it_meets_when_it_is_approved(database: Database) -> None:
    practice = await a_practice(database)
    booked = a_booking(practice, START)
    await receive(database, booked)
    new = NewTimeOff(starts_at=START - HOUR, ends_at=START + HOUR)

    async with database.orm_transaction() as db:
        await request_time_off(db, practice.provider_id, new, user=ADMIN)
    assert await told(database) == []
    async with database.orm_transaction() as db:
        await approve_time_off(db, practice.provider_id, new.id, user=ADMIN)
    async with database.orm_transaction() as db:
        await withdraw_time_off(db, practice.provider_id, new.id, user=ADMIN)

    assert await told(database) == [("time_off", new.id, [booked.id])]


async def test_a_busy_time_names_whom_it_meets_and_none_did_before(database: Database) -> None:
    practice = await a_practice(database, buffer_after_minutes=15)
    first, second = (a_booking(practice, START + n * HOUR) for n in (0, 1))
    await receive(database, first, second)
    calendar = uuid4()
    touching = (START + 45 * MINUTE, START + HOUR)
    meeting = (START + 40 * MINUTE, START + HOUR)
    longer = (START + 40 * MINUTE, START + 2 * HOUR)

    async def busy(before: list[Any], after: list[Any]) -> None:
        async with database.transaction() as db:
            await announce_busy_conflicts(
                db, practice.provider_id, calendar, before=before, after=after
            )

    await busy([], [])
    await busy([], [touching])
    assert await told(database) == []
    await busy([touching], [meeting])
    await busy([meeting], [meeting])
    await busy([meeting], [longer])
    await busy([longer], [])

    assert await told(database) == [
        ("external_busy", calendar, [first.id]),
        ("external_busy", calendar, [second.id]),
    ]


async def test_what_a_calendar_says_is_told_when_it_arrives_and_not_again(
    database: Database,
) -> None:
    practice = await a_practice(database)
    booked = a_booking(practice, START)
    await receive(database, booked)
    calendar, month = uuid4(), START - 4 * DAY

    def word(version: int, *busy: BusyTime) -> CalendarBusyChanged:
        return CalendarBusyChanged(
            connection_id=calendar,
            provider_id=practice.provider_id,
            version=version,
            kind="google",
            as_of=START - 5 * DAY,
            start=month,
            end=month + 30 * DAY,
            busy=list(busy),
        )

    meeting = BusyTime(external_id="a", start=START, end=START + HOUR)
    other = BusyTime(external_id="b", start=START + 5 * HOUR, end=START + 6 * HOUR)
    await receive(database, word(1, meeting), word(1, meeting), word(2, meeting, other))

    assert await told(database) == [("external_busy", calendar, [booked.id])]
