"""What external calendars say: which times it removes, how fresh it is, what if nobody knows."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from availability.use_cases.calendars import SpanBroken, note_stale
from availability.use_cases.providers import change_provider
from shared.db import Database
from shared.events.calendar import (
    BusyTime,
    CalendarBusyChanged,
    CalendarConnectionBroken,
    CalendarConnectionConnected,
    CalendarConnectionDeleted,
)
from shared.fields import instant_text
from shared.http import AsyncClient

from .builders import DAY, MINUTE, Practice, a_practice, in_days, receive
from .conftest import As
from .test_changes import tick, version

SPAN = (in_days(0, 0), in_days(30, 0))


def busy(
    practice: Practice,
    connection: UUID,
    version: int,
    *times: tuple[str, datetime, datetime],
    **changes: Any,
) -> CalendarBusyChanged:
    values = {
        "connection_id": connection,
        "provider_id": practice.provider_id,
        "version": version,
        "kind": "google",
        "as_of": datetime.now(UTC),
        "start": SPAN[0],
        "end": SPAN[1],
        "busy": [BusyTime(external_id=id_, start=start, end=end) for id_, start, end in times],
    }
    return CalendarBusyChanged(**values | changes)


def connected(
    practice: Practice, connection: UUID, version: int, *, age: timedelta = timedelta()
) -> CalendarConnectionConnected:
    return CalendarConnectionConnected(
        id=connection,
        version=version,
        provider_id=practice.provider_id,
        kind="google",
        as_of=datetime.now(UTC) - age,
    )


def broken(practice: Practice, connection: UUID, version: int) -> CalendarConnectionBroken:
    return CalendarConnectionBroken(
        id=connection,
        version=version,
        provider_id=practice.provider_id,
        kind="google",
        reason="access_revoked",
    )


def deleted(practice: Practice, connection: UUID, version: int) -> CalendarConnectionDeleted:
    return CalendarConnectionDeleted(
        id=connection, version=version, provider_id=practice.provider_id, kind="google"
    )


async def day(api: AsyncClient, practice: Practice) -> Any:
    answer = await api.get(f"{practice.path()}&date={in_days(3):%Y-%m-%d}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def starts(api: AsyncClient, practice: Practice) -> list[str]:
    return [each["start"][11:16] for each in (await day(api, practice))["timeslots"]]


ALL = ["09:00", "09:30", "10:00", "10:30", "11:00", "11:30"]
NINE, TEN, ELEVEN = in_days(3), in_days(3, 10), in_days(3, 11)


async def test_busy_times_hide_what_they_overlap(api: AsyncClient, database: Database) -> None:
    practice, connection = await a_practice(database), uuid4()

    await receive(database, busy(practice, connection, 1, ("a", TEN, ELEVEN)))

    assert await starts(api, practice) == ["09:00", "09:30", "11:00", "11:30"]


async def test_the_newest_word_replaces_all_of_its_span(
    api: AsyncClient, database: Database
) -> None:
    practice, connection = await a_practice(database), uuid4()

    await receive(
        database,
        busy(practice, connection, 1, ("a", NINE, TEN), ("b", TEN, ELEVEN)),
        busy(practice, connection, 2, ("b", TEN, TEN + 30 * MINUTE), ("c", ELEVEN, ELEVEN + DAY)),
    )

    assert await starts(api, practice) == ["09:00", "09:30", "10:30"]


async def test_late_word_never_replaces_newer(api: AsyncClient, database: Database) -> None:
    practice, connection = await a_practice(database), uuid4()
    new = busy(practice, connection, 2, ("a", NINE, TEN))
    await receive(database, new)
    before = await version(database, practice.provider_id)

    await receive(database, busy(practice, connection, 1, ("b", TEN, ELEVEN)), new)

    assert await starts(api, practice) == ["10:00", "10:30", "11:00", "11:30"]
    assert await version(database, practice.provider_id) == before


async def test_other_spans_and_other_calendars_stay(api: AsyncClient, database: Database) -> None:
    practice, mine, other = await a_practice(database), uuid4(), uuid4()
    next_span = {"start": SPAN[1], "end": SPAN[1] + 30 * DAY}
    last_span = {"start": SPAN[0] - 30 * DAY, "end": SPAN[0]}

    await receive(
        database,
        busy(practice, mine, 3, ("a", NINE, TEN)),
        busy(practice, other, 1, ("a", TEN, ELEVEN)),
        busy(practice, mine, 2, **next_span),
        busy(practice, mine, 1, ("long", SPAN[0] - DAY, ELEVEN + 30 * MINUTE), **last_span),
    )
    assert await starts(api, practice) == ["11:30"]

    await receive(database, busy(practice, mine, 4, **last_span))

    assert await starts(api, practice) == ["11:00", "11:30"]


async def test_a_change_is_announced_for_the_time_it_is_about(database: Database) -> None:
    practice, connection = await a_practice(database), uuid4()
    same = ("same", NINE - DAY, NINE)
    await receive(database, busy(practice, connection, 1, same, ("a", NINE, TEN)))
    await tick(database)

    await receive(database, busy(practice, connection, 2, same, ("b", TEN, ELEVEN)))
    (moved,) = await tick(database)
    await receive(database, busy(practice, connection, 3, same, ("b", TEN, ELEVEN)))

    assert (moved.start, moved.end) == (NINE, ELEVEN)
    assert [f"{each.start:%H:%M}" for each in moved.timeslots] == ["09:00", "09:30"]
    assert await tick(database) == []


async def test_a_busy_time_outside_its_span_is_an_error(database: Database) -> None:
    practice = await a_practice(database)

    with pytest.raises(SpanBroken):
        await receive(database, busy(practice, uuid4(), 1, ("a", SPAN[1], SPAN[1] + DAY)))


async def test_a_disconnected_calendar_says_nothing_any_more(
    api: AsyncClient, database: Database
) -> None:
    practice, connection = await a_practice(database), uuid4()
    await receive(
        database,
        connected(practice, connection, 1),
        busy(practice, connection, 2, ("a", NINE, TEN)),
        deleted(practice, connection, 4),
        busy(practice, connection, 3, ("b", TEN, ELEVEN), start=NINE),
        connected(practice, connection, 3),
    )

    answer = await day(api, practice)

    assert [each["start"][11:16] for each in answer["timeslots"]] == ALL
    assert answer["sources"] == []


async def test_answers_say_how_fresh_the_calendars_are(
    api: AsyncClient, database: Database
) -> None:
    practice, first, second = await a_practice(database), uuid4(), uuid4()
    told = busy(practice, second, 1, kind="caldav")
    works = connected(practice, first, 1)
    await receive(database, told, works, broken(practice, second, 2))

    sources = (await day(api, practice))["sources"]

    expected = {
        first: {"kind": "google", "asOf": instant_text(works.as_of), "healthy": True},
        second: {"kind": "google", "asOf": instant_text(told.as_of), "healthy": False},
    }
    assert sources == [expected[each] for each in sorted(expected)]
    nearest = instant_text(in_days(3))
    for what in ("next", f"alternatives?start={nearest}", f"explain?at={nearest}"):
        path, _, query = what.partition("?")
        answer = await api.get(f"{practice.path(f'/{path}')}&{query}")
        assert answer.json()["sources"] == sources
    page = await api.post(
        "/v1/availability/search", json={"providerIds": [str(practice.provider_id)]}
    )
    assert page.json()["providers"][0]["sources"] == sources


@pytest.mark.parametrize(
    ("minutes", "is_healthy"), [(0, True), (58, True), (61, False), (10_000, False)]
)
async def test_a_calendar_that_nobody_has_read_for_an_hour_is_not_healthy(
    api: AsyncClient, database: Database, minutes: int, is_healthy: bool
) -> None:
    practice = await a_practice(database)
    await receive(database, connected(practice, uuid4(), 1, age=minutes * MINUTE))

    (source,) = (await day(api, practice))["sources"]

    assert source["healthy"] is is_healthy


async def policy(database: Database, practice: Practice, policy: str) -> None:
    async with database.orm_transaction() as db:
        await change_provider(db, practice.provider_id, {"unhealthy_calendar_policy": policy})


@pytest.mark.parametrize("chosen", ["shown", "marked", "closed"])
async def test_a_provider_decides_about_times_over_a_broken_calendar(
    api: AsyncClient, database: Database, chosen: str
) -> None:
    practice, connection = await a_practice(database), uuid4()
    await policy(database, practice, chosen)
    await receive(database, connected(practice, connection, 1))
    healthy = (await day(api, practice))["timeslots"]

    await receive(database, broken(practice, connection, 2))
    unhealthy = (await day(api, practice))["timeslots"]
    await receive(database, connected(practice, connection, 3))
    mended = (await day(api, practice))["timeslots"]

    assert len(healthy) == len(ALL)
    assert mended == healthy
    if chosen == "shown":
        assert unhealthy == healthy
    elif chosen == "marked":
        assert unhealthy == [each | {"unconfirmedCalendar": True} for each in healthy]
        assert not any(each["unconfirmedCalendar"] for each in healthy)
    else:
        assert unhealthy == []


async def test_what_is_marked_in_a_list_is_marked_everywhere(
    api: AsyncClient, database: Database
) -> None:
    practice, connection = await a_practice(database), uuid4()
    await policy(database, practice, "marked")
    await receive(database, broken(practice, connection, 1))

    found = (await api.get(practice.path("/next"))).json()["timeslots"]
    page = await api.post(
        "/v1/availability/search", json={"providerIds": [str(practice.provider_id)]}
    )

    for timeslots in (found, page.json()["timeslots"]):
        assert timeslots
        assert all(each["unconfirmedCalendar"] for each in timeslots)


async def test_closed_times_are_not_offered_and_say_why(
    api: AsyncClient, database: Database, as_reservations: dict[str, str], as_user: As
) -> None:
    practice, connection = await a_practice(database), uuid4()
    await policy(database, practice, "closed")
    await receive(database, broken(practice, connection, 1))
    body = {
        "providerId": str(practice.provider_id),
        "serviceId": str(practice.service_id),
        "timeslotId": practice.timeslot_id(NINE),
        "userId": str(uuid4()),
    }

    check = await api.post("/internal/timeslots/check", json=body, headers=as_reservations)
    explained = await api.get(
        f"{practice.path('/explain')}&at={instant_text(NINE)}",
        headers=as_user("provider", practice.provider_id),
    )

    assert (check.json()["offered"], check.json()["reason"]) == (False, "external_busy")
    assert check.json()["alternatives"] == []
    (place,) = explained.json()["places"]
    assert place["reasons"] == [{"reason": "external_busy", "ids": [str(connection)]}]


async def test_a_calendar_that_breaks_or_mends_changes_any_time(database: Database) -> None:
    practice, connection = await a_practice(database), uuid4()
    await receive(database, connected(practice, connection, 1))
    await tick(database)
    before = await version(database, practice.provider_id)

    await receive(database, connected(practice, connection, 2))
    fresh = await tick(database)
    after = await version(database, practice.provider_id)
    await receive(database, broken(practice, connection, 4), connected(practice, connection, 3))
    (event,) = await tick(database)

    assert (fresh, after) == ([], before + 1)
    assert (event.start, event.end, event.is_complete) == (None, None, False)


async def test_a_calendar_that_turns_stale_is_told_once_and_so_is_its_recovery(
    database: Database,
) -> None:
    practice, connection = await a_practice(database), uuid4()
    await receive(database, connected(practice, connection, 1, age=timedelta(minutes=59)))
    await tick(database)

    async def workers() -> None:
        async def one() -> None:
            async with database.transaction() as db:
                await note_stale(db)

        await asyncio.gather(*(one() for _ in range(20)))

    await workers()
    assert await tick(database) == []
    async with database.transaction() as db:
        await db.execute("UPDATE calendar_sources SET as_of = as_of - interval '2 minutes'")
    before = await version(database, practice.provider_id)

    await workers()
    (stale,) = await tick(database)
    assert (stale.provider_id, stale.start, stale.is_complete) == (
        practice.provider_id,
        None,
        False,
    )
    assert await version(database, practice.provider_id) == before + 1
    await workers()
    assert await tick(database) == []

    await receive(database, busy(practice, connection, 2))
    (recovered,) = await tick(database)
    assert recovered.start is None
    await receive(database, busy(practice, connection, 3))
    assert await tick(database) == []
