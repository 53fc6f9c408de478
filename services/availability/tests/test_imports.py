"""Imported calendars: blocked exceptions that come, change and go as calendar-sync tells."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from availability.domain.schedule import ExceptionKind
from availability.rebuild import forget
from availability.use_cases.exceptions import NewException, add_exception
from availability.use_cases.providers import remove_provider
from shared.db import Database
from shared.events.calendar import BlockedTime, CalendarImportDeleted, CalendarImported
from shared.http import AsyncClient
from shared.ids import new_id

from .builders import MINUTE, Practice, a_booking, a_practice, in_days, receive
from .conftest import As
from .test_calendars import ALL, ELEVEN, NINE, TEN, starts
from .test_changes import version
from .test_conflicts import told


def imported(
    practice: Practice, id_: UUID, version: int, *times: tuple[datetime, datetime]
) -> CalendarImported:
    return CalendarImported(
        id=id_,
        version=version,
        provider_id=practice.provider_id,
        blocked=[BlockedTime(start=start, end=end) for start, end in times],
    )


def deleted(practice: Practice, id_: UUID, version: int) -> CalendarImportDeleted:
    return CalendarImportDeleted(id=id_, version=version, provider_id=practice.provider_id)


async def exceptions(api: AsyncClient, practice: Practice, staff: dict[str, str]) -> list[Any]:
    answer = await api.get(f"/v1/providers/{practice.provider_id}/exceptions", headers=staff)
    assert answer.status_code == 200, answer.text
    items: list[Any] = answer.json()["items"]
    return items


async def test_an_imported_calendar_blocks_its_times(
    api: AsyncClient, database: Database, as_user: As
) -> None:
    practice, id_ = await a_practice(database), new_id()

    await receive(database, imported(practice, id_, 1, (TEN, ELEVEN)))

    assert await starts(api, practice) == ["09:00", "09:30", "11:00", "11:30"]
    [shown] = await exceptions(api, practice, as_user("provider", practice.provider_id))
    assert (shown["kind"], shown["source"], shown["importId"]) == ("blocked", "import", str(id_))


async def test_the_newest_word_replaces_what_an_import_blocks(
    api: AsyncClient, database: Database
) -> None:
    practice, id_ = await a_practice(database), new_id()

    await receive(
        database,
        imported(practice, id_, 1, (NINE, TEN), (ELEVEN, ELEVEN + 30 * MINUTE)),
        imported(practice, id_, 2, (NINE, NINE + 30 * MINUTE), (ELEVEN, ELEVEN + 30 * MINUTE)),
    )

    assert await starts(api, practice) == ["09:30", "10:00", "10:30", "11:30"]


async def test_the_same_word_twice_and_older_word_later_change_nothing(
    api: AsyncClient, database: Database
) -> None:
    practice, id_ = await a_practice(database), new_id()
    new = imported(practice, id_, 2, (NINE, TEN))
    await receive(database, new)
    before = await version(database, practice.provider_id)

    await receive(database, new, imported(practice, id_, 1, (TEN, ELEVEN)))

    assert await starts(api, practice) == ["10:00", "10:30", "11:00", "11:30"]
    assert await version(database, practice.provider_id) == before


async def test_newer_word_that_says_the_same_moves_no_version(database: Database) -> None:
    practice, id_ = await a_practice(database), new_id()
    await receive(database, imported(practice, id_, 1, (NINE, TEN)))
    before = await version(database, practice.provider_id)

    await receive(database, imported(practice, id_, 2, (NINE, TEN)))

    assert await version(database, practice.provider_id) == before


async def test_each_change_counts_up_the_version_and_is_noted(database: Database) -> None:
    practice, id_ = await a_practice(database), new_id()
    before = await version(database, practice.provider_id)

    await receive(database, imported(practice, id_, 1, (NINE, TEN)), deleted(practice, id_, 2))

    assert await version(database, practice.provider_id) == before + 2
    async with database.reading() as db:
        noted = await db.fetch(
            "SELECT starts_at, ends_at FROM schedule_changes WHERE starts_at = $1", NINE
        )
    assert [tuple(row) for row in noted] == [(NINE, TEN)] * 2


async def test_an_import_that_is_taken_back_blocks_nothing_in_whatever_order_one_hears(
    api: AsyncClient, database: Database
) -> None:
    practice, one, other = await a_practice(database), new_id(), new_id()

    await receive(
        database,
        imported(practice, one, 1, (NINE, TEN)),
        deleted(practice, one, 2),
        deleted(practice, other, 2),
        imported(practice, other, 1, (TEN, ELEVEN)),
    )

    assert await starts(api, practice) == ALL


async def test_imports_do_not_touch_each_other_or_what_was_set_by_hand(
    api: AsyncClient, database: Database
) -> None:
    practice, one, other = await a_practice(database), new_id(), new_id()
    async with database.orm_transaction() as db:
        await add_exception(
            db,
            practice.provider_id,
            NewException(kind=ExceptionKind.BLOCKED, starts_at=NINE, ends_at=TEN),
        )

    await receive(
        database,
        imported(practice, one, 1, (NINE, TEN), (TEN, ELEVEN)),
        imported(practice, other, 1, (TEN, TEN + 30 * MINUTE)),
        deleted(practice, one, 2),
    )

    assert await starts(api, practice) == ["10:30", "11:00", "11:30"]


async def test_an_imported_exception_is_neither_changed_nor_deleted_alone(
    api: AsyncClient, database: Database, as_user: As
) -> None:
    practice, id_ = await a_practice(database), new_id()
    await receive(database, imported(practice, id_, 1, (TEN, ELEVEN)))
    staff = as_user("provider", practice.provider_id)
    [shown] = await exceptions(api, practice, staff)
    path = f"/v1/providers/{practice.provider_id}/exceptions/{shown['id']}"

    answers = [
        await api.patch(path, headers=staff, json={"reason": "other"}),
        await api.delete(path, headers=staff),
    ]

    assert [(each.status_code, each.json()["code"]) for each in answers] == [
        (409, "belongs_to_import")
    ] * 2
    assert answers[0].json()["importId"] == str(id_)
    assert len(await exceptions(api, practice, staff)) == 1


async def test_whom_an_import_hits_is_told_once(database: Database) -> None:
    practice, id_ = await a_practice(database), new_id()
    hit = a_booking(practice, start=TEN)
    await receive(database, hit, a_booking(practice, start=ELEVEN))

    await receive(
        database,
        imported(practice, id_, 1, (TEN, ELEVEN)),
        imported(practice, id_, 2, (TEN, ELEVEN), (in_days(9), in_days(10))),
    )

    assert await told(database) == [("exception", id_, [hit.id])]


async def test_an_import_inside_a_time_that_is_open_on_purpose_hits_nobody(
    api: AsyncClient, database: Database
) -> None:
    practice, id_ = await a_practice(database), new_id()
    async with database.orm_transaction() as db:
        opened = NewException(kind=ExceptionKind.AVAILABLE, starts_at=NINE, ends_at=ELEVEN)
        await add_exception(db, practice.provider_id, opened)
    await receive(database, a_booking(practice, start=TEN))

    await receive(database, imported(practice, id_, 1, (TEN, ELEVEN)))

    assert await told(database) == []


async def test_a_deleted_provider_imports_nothing(database: Database) -> None:
    practice, id_ = await a_practice(database), new_id()
    async with database.orm_transaction() as db:
        await remove_provider(db, practice.provider_id)

    await receive(database, imported(practice, id_, 1, (TEN, ELEVEN)))

    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM availability_exceptions") == 0


async def test_forgetting_and_hearing_again_is_the_same(
    api: AsyncClient, database: Database, as_user: As
) -> None:
    practice, id_, gone = await a_practice(database), new_id(), new_id()
    staff = as_user("provider", practice.provider_id)
    words = [imported(practice, id_, 3, (TEN, ELEVEN)), deleted(practice, gone, 2)]
    await receive(database, *words)
    before = await exceptions(api, practice, staff)

    async with database.transaction() as db:
        await forget(db)
    forgotten = await exceptions(api, practice, staff)
    await receive(database, *words)

    assert forgotten == []
    assert [each["id"] for each in await exceptions(api, practice, staff)] == [
        each["id"] for each in before
    ]


async def test_imported_exceptions_leave_room_for_others(
    api: AsyncClient, database: Database, as_user: As
) -> None:
    practice, id_ = await a_practice(database), uuid4()
    many = [(in_days(20) + n * MINUTE, in_days(20) + (n + 1) * MINUTE) for n in range(0, 3000, 2)]
    await receive(database, imported(practice, id_, 1, *many))

    answer = await api.post(
        f"/v1/providers/{practice.provider_id}/exceptions",
        headers=as_user("provider", practice.provider_id),
        json={
            "kind": "blocked",
            "start": NINE.isoformat(),
            "end": TEN.isoformat(),
        },
    )

    assert answer.status_code == 201, answer.text
