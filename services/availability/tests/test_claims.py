"""What bookings tells becomes what is shown: once, newest version first, expired holds never."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from availability.consumers import HANDLERS
from availability.use_cases.locations import NewRoom
from shared.db import Database
from shared.events.booking import AppointmentEvent
from shared.http import AsyncClient
from shared.messaging.topology import LISTENERS

from .builders import (
    DAY,
    MINUTE,
    Practice,
    a_booking,
    a_practice,
    an_event,
    in_days,
    later,
    receive,
)
from .conftest import As


async def seen(
    api: AsyncClient, practice: Practice, on: datetime, headers: dict[str, str] | None = None
) -> list[tuple[str, str, int]]:
    answer = await api.get(f"{practice.path()}&date={on:%Y-%m-%d}", headers=headers)
    return [
        (slot["start"][11:16], slot["status"], slot["capacityLeft"])
        for slot in answer.json()["timeslots"]
    ]


async def status(api: AsyncClient, practice: Practice, start: datetime) -> str:
    found = {at: status for at, status, _ in await seen(api, practice, start)}
    return found[f"{start:%H:%M}"]


async def rows(database: Database, table: str) -> list[Any]:
    async with database.reading() as db:
        return await db.fetch(f"SELECT * FROM {table} ORDER BY 1, 2")


def test_every_event_that_is_sent_here_has_a_handler() -> None:
    assert {event.type for event in HANDLERS} == LISTENERS["availability"]


async def test_a_claim_removes_what_it_touches_with_its_buffers(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(
        database,
        buffer_before_minutes=10,
        buffer_after_minutes=10,
        rule={"slot_interval_minutes": 15},
    )
    on = in_days(3)
    # Open from 9:00, so 9:15 is the first start of the grid with ten minutes to spare before it.
    assert (await seen(api, practice, on))[0] == ("09:15", "available", 1)

    await receive(database, a_booking(practice, on.replace(hour=10, minute=15)))

    booked = [at for at, status, _ in await seen(api, practice, on) if status == "booked"]
    assert booked == ["09:30", "09:45", "10:00", "10:15", "10:30", "10:45", "11:00"]


async def test_a_hold_is_reserved_and_an_appointment_booked(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database)
    nine = in_days(3)
    held = a_booking(practice, nine, "held")

    await receive(database, held)
    assert await status(api, practice, nine) == "reserved"
    pending = later(held, practice, "pending")
    await receive(database, pending)
    assert await status(api, practice, nine) == "booked"
    confirmed = later(pending, practice, "confirmed")
    await receive(database, confirmed)
    assert await status(api, practice, nine) == "booked"
    # The end of the hold that it once was ends nothing any more.
    over = datetime.now(UTC) - timedelta(seconds=1)
    await receive(database, later(confirmed, practice, "confirmed", hold_expires_at=over))
    assert await status(api, practice, nine) == "booked"


@pytest.mark.parametrize("end", ["cancelled", "completed", "no_show"])
async def test_an_ended_appointment_gives_its_time_back(
    api: AsyncClient, database: Database, end: str
) -> None:
    practice = await a_practice(database)
    nine = in_days(3)
    booked = a_booking(practice, nine)
    before = await seen(api, practice, nine)

    await receive(database, booked, later(booked, practice, end))

    assert await seen(api, practice, nine) == before
    assert await rows(database, "claims") == []


async def test_an_expired_hold_counts_no_more_though_nobody_has_said_so(
    api: AsyncClient, database: Database, as_user: As
) -> None:
    practice = await a_practice(database)
    nine = in_days(3)
    held = a_booking(practice, nine, "held")
    mine = as_user("patient", held.user_id)
    await receive(database, held)
    assert (await seen(api, practice, nine, mine))[0] == ("09:00", "reserved", 0)

    async with database.transaction() as db:
        for table in ("claims", "appointments"):
            await db.execute(f"UPDATE {table} SET hold_expires_at = now() - interval '1 ms'")
        await db.execute("UPDATE schedule_versions SET version = version + 1")

    assert await status(api, practice, nine) == "available"
    answer = await api.get(f"{practice.path()}&date={nine:%Y-%m-%d}", headers=mine)
    assert not any(slot["heldByYou"] for slot in answer.json()["timeslots"])


async def test_a_hold_that_arrives_too_late_never_counts(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database)
    nine = in_days(3)
    over = datetime.now(UTC) - timedelta(seconds=1)

    await receive(database, a_booking(practice, nine, "held", hold_expires_at=over))

    assert await status(api, practice, nine) == "available"


async def test_an_extended_hold_counts_longer(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)
    nine = in_days(3)
    over = datetime.now(UTC) - timedelta(seconds=1)
    held = a_booking(practice, nine, "held", hold_expires_at=over)

    await receive(database, held, later(held, practice, "held"))

    assert await status(api, practice, nine) == "reserved"


async def test_one_sees_which_timeslots_one_holds(
    api: AsyncClient, database: Database, as_user: As
) -> None:
    practice = await a_practice(database, staff=2)
    nine = in_days(3)
    ten = nine.replace(hour=10)
    mine = a_booking(practice, nine, "held")
    theirs = a_booking(practice, ten, "held")
    await receive(database, mine, theirs)
    path = f"{practice.path()}&date={nine:%Y-%m-%d}"

    answer = await api.get(path, headers=as_user("patient", mine.user_id))

    found = {slot["start"][11:16]: slot for slot in answer.json()["timeslots"]}
    assert [at for at, slot in found.items() if slot["heldByYou"]] == ["09:00"]
    assert (found["09:00"]["status"], found["09:00"]["capacityLeft"]) == ("available", 1)
    await receive(database, later(mine, practice, "confirmed"))
    answer = await api.get(path, headers=as_user("patient", mine.user_id))
    assert not any(slot["heldByYou"] for slot in answer.json()["timeslots"])


def history(practice: Practice, start: datetime) -> list[AppointmentEvent]:
    held = a_booking(practice, start, "held")
    confirmed = later(held, practice, "confirmed")
    return [held, confirmed, later(confirmed, practice, "cancelled")]


async def test_the_newest_version_stays_in_whatever_order_they_come(database: Database) -> None:
    practice = await a_practice(database)
    orders = [*permutations((0, 1)), *permutations((0, 1, 2)), (0, 0, 1, 2, 1, 0, 2)]

    for day, order in enumerate(orders):
        told = history(practice, in_days(3 + day))
        await receive(database, *(told[number] for number in order))

    appointments = {row["starts_at"]: row for row in await rows(database, "appointments")}
    claims = {row["starts_at"]: row for row in await rows(database, "claims")}
    for day, order in enumerate(orders):
        newest = history(practice, in_days(3 + day))[max(order)]
        stored = appointments[newest.start]
        assert (stored["version"], stored["status"]) == (newest.version, newest.status), order
        assert (newest.start in claims) == bool(newest.claims), order
    assert all(claim["hold_expires_at"] is None for claim in claims.values())


async def test_versions_that_arrive_at_once_end_in_the_newest(database: Database) -> None:
    practice = await a_practice(database)
    histories = [history(practice, in_days(3 + n)) for n in range(12)]

    async def one(fact: AppointmentEvent) -> None:
        await receive(database, fact)

    await asyncio.gather(*(one(fact) for told in histories for fact in told))

    assert {row["status"] for row in await rows(database, "appointments")} == {"cancelled"}
    assert await rows(database, "claims") == []


async def test_batches_about_several_providers_do_not_wait_for_each_other(
    database: Database,
) -> None:
    practices = [await a_practice(database) for _ in range(4)]

    async def batch(number: int) -> None:
        order = practices[number % 4 :] + practices[: number % 4]
        async with database.transaction() as db:
            for practice in order if number % 2 else reversed(order):
                booked = a_booking(practice, in_days(3 + number))
                await HANDLERS[type(booked)](db, an_event(booked))

    await asyncio.gather(*(batch(number) for number in range(40)))

    assert len(await rows(database, "claims")) == 160
    async with database.reading() as db:
        deadlocks = await db.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
    assert deadlocks == 0


async def test_capacity_is_the_least_of_what_is_needed(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database, staff=3, rooms=[NewRoom(name="Hall", capacity=2)])
    nine = in_days(3)
    staff, rooms = practice.unit_ids[:3], practice.unit_ids[3:]
    assert (await seen(api, practice, nine))[0] == ("09:00", "available", 2)

    await receive(database, a_booking(practice, nine, units=[staff[0], rooms[0]]))
    assert (await seen(api, practice, nine))[0] == ("09:00", "available", 1)
    await receive(database, a_booking(practice, nine, "held", units=[staff[1], rooms[1]]))
    assert (await seen(api, practice, nine))[0] == ("09:00", "reserved", 0)


async def test_a_booking_of_a_provider_who_is_not_known_yet_is_kept(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database)
    stranger = a_booking(practice, in_days(3), provider_id=uuid4(), units=[uuid4()])

    await receive(database, stranger)

    assert len(await rows(database, "claims")) == 1
    assert await status(api, practice, in_days(3)) == "available"


async def test_a_claim_to_the_second_counts_in_whole_minutes(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database)
    nine = in_days(3)
    odd = nine.replace(hour=10) + timedelta(seconds=30)

    await receive(database, a_booking(practice, odd))

    booked = [at for at, status, _ in await seen(api, practice, nine) if status == "booked"]
    assert booked == ["10:00", "10:30"]


async def test_claims_of_other_days_are_of_no_concern(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database, rule={"start_minute": 0, "end_minute": 1440})
    midnight = in_days(3, 0)
    await receive(
        database,
        a_booking(practice, midnight - 30 * MINUTE),
        a_booking(practice, midnight + DAY),
    )

    found = await seen(api, practice, midnight)

    assert len(found) == 48
    assert {status for _, status, _ in found} == {"available"}


@pytest.mark.parametrize("timezone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_claims_count_at_both_ends_of_a_day_however_far_it_is_from_utc(
    api: AsyncClient, database: Database, timezone: str
) -> None:
    practice = await a_practice(
        database,
        timezone=timezone,
        duration_minutes=60,
        rule={"start_minute": 0, "end_minute": 1440},
    )
    midnight = in_days(5, 0).replace(tzinfo=ZoneInfo(timezone))
    before, last = midnight - 30 * MINUTE, midnight + DAY - 30 * MINUTE
    await receive(database, a_booking(practice, before), a_booking(practice, last))

    answer = await api.get(f"{practice.path()}&date={midnight:%Y-%m-%d}&status=booked")

    seen = [datetime.fromisoformat(slot["start"]) for slot in answer.json()["timeslots"]]
    assert seen == [midnight, last - 30 * MINUTE, last]
