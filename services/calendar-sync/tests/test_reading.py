"""What calendars say is told exactly, once, and never vanishes while nobody knows better."""

import asyncio
import time
from datetime import datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from calendar_sync.calendars.contract import (
    AccessGone,
    ExternalEvent,
    NotFound,
    Occurrence,
    Temporary,
)
from calendar_sync.use_cases.choose import choose
from calendar_sync.use_cases.resync import resync
from shared.db import Database
from shared.events.provider import ProviderDeleted, ProviderUpdated

from .conftest import PROVIDER, Tell
from .practice import DAY, Practice, a_practice, in_days
from .remote import Remote


@pytest.fixture
async def practice(database: Database, tell: Tell, the_provider: ProviderUpdated) -> Practice:
    await tell(the_provider)
    return await a_practice(database, PROVIDER, Remote())


async def test_a_first_visit_tells_what_is_busy_and_that_it_works(practice: Practice) -> None:
    practice.remote.set("a", in_days(3), in_days(3, 10))
    practice.remote.set("b", in_days(40), in_days(40, 10))

    await practice.visit()

    told = await practice.told()
    assert [event.type for event in told[-1:]] == ["calendar.connection_connected"]
    busy = [event for event in told if event.type == "calendar.busy_changed"]
    assert sorted(each.start for event in busy for each in event.busy) == [in_days(3), in_days(40)]
    assert [event.version for event in told] == list(range(1, len(told) + 1))
    for event in busy:
        assert (event.start.day, event.end.day) == (1, 1)
        assert all(event.start <= each.start < event.end for each in event.busy)


async def test_reading_twice_tells_nothing(practice: Practice) -> None:
    practice.remote.set("a", in_days(3), in_days(3, 10))
    await practice.visit()
    await practice.told()

    await practice.visit()
    async with practice.database.transaction() as db:
        await resync(db, PROVIDER, practice.id)
    await practice.visit()

    assert practice.remote.full_reads == 2
    assert await practice.told() == []


async def test_a_month_that_is_as_it_was_told_is_not_told_again(practice: Practice) -> None:
    practice.remote.set("a", in_days(3), in_days(3, 10))
    await practice.visit()
    await practice.told()
    # As after a worker that died before it could tell, and a calendar that took it back.
    await practice.sql("UPDATE busy_spans SET is_changed = true")

    await practice.visit()

    assert await practice.told() == []
    assert await practice.sql("SELECT FROM busy_spans WHERE is_changed") == []


async def test_only_months_that_changed_are_told(practice: Practice) -> None:
    practice.remote.set("near", in_days(3), in_days(3, 10))
    practice.remote.set("far", in_days(100), in_days(100, 10))
    await practice.visit()
    await practice.told()

    practice.remote.set("far", in_days(100, 12), in_days(100, 13))
    await practice.visit()

    (event,) = await practice.told()
    assert [(each.start, each.end) for each in event.busy] == [(in_days(100, 12), in_days(100, 13))]


async def test_what_does_not_take_time_is_not_busy(practice: Practice) -> None:
    remote = practice.remote
    remote.set("free", in_days(3), in_days(3, 10), is_free=True)
    remote.set("declined", in_days(4), in_days(4, 10), is_declined=True)
    remote.set("cancelled", in_days(5), in_days(5, 10), is_cancelled=True)
    remote.set("ours", in_days(6), in_days(6, 10), key=uuid4())
    remote.set("past", in_days(-100), in_days(-100, 10))
    remote.set("tentative", in_days(7), in_days(7, 10), is_tentative=True)

    await practice.visit()
    assert await practice.busy() == [(in_days(7), in_days(7, 10))]

    async with practice.database.transaction() as db:
        await choose(db, PROVIDER, practice.id, {"tentative_is_busy": False})
    await practice.visit()
    assert await practice.busy() == []


async def test_a_full_reading_never_lets_go_before_it_ends(practice: Practice) -> None:
    remote = practice.remote
    for number in range(6):
        remote.set(f"{number}", in_days(3 + number), in_days(3 + number, 10))
    await practice.visit()
    before = await practice.busy()
    remote.delete("0")
    remote.oldest_cursor = len(remote.changed)
    remote.before_page = asyncio.Event()
    remote.at_page.clear()

    await practice.sql("UPDATE connections SET next_visit_at = now()")
    await practice.visitor.tick()
    await remote.at_page.wait()
    rows = await practice.sql("SELECT starts_at FROM external_busy_times")
    during = await practice.busy()
    remote.before_page.set()
    await practice.visitor.idle()

    assert len(rows) == 6
    assert during == before
    assert await practice.busy() == before[1:]


async def test_a_cursor_that_goes_in_the_middle_of_paging(practice: Practice) -> None:
    remote = practice.remote
    for number in range(8):
        remote.set(f"{number}", in_days(3 + number), in_days(3 + number, 10))
    await practice.visit()
    for number in range(8):
        remote.set(f"{number}", in_days(3 + number, 14), in_days(3 + number, 15))
    remote.delete("7")
    remote.gone_at_page = 3

    await practice.visit()

    assert remote.full_reads == 2
    assert await practice.busy() == [
        (in_days(3 + number, 14), in_days(3 + number, 15)) for number in range(7)
    ]


async def test_a_reading_that_breaks_off_is_made_again(practice: Practice) -> None:
    remote = practice.remote
    for number in range(8):
        remote.set(f"{number}", in_days(3 + number), in_days(3 + number, 10))
    await practice.visit()
    for number in range(1, 8):
        remote.set(f"{number}", in_days(3 + number, 14), in_days(3 + number, 15))
    remote.delete("0")
    remote.fault_at_page = 3
    await practice.visit()
    broken_off = await practice.busy()
    remote.fault_at_page = None

    await practice.visit()

    assert len(broken_off) == 8
    assert await practice.busy() == [(in_days(3 + n, 14), in_days(3 + n, 15)) for n in range(1, 8)]


async def test_a_full_reading_that_breaks_off_still_learns_what_is_gone(
    practice: Practice,
) -> None:
    remote = practice.remote
    for number in range(8):
        remote.set(f"{number}", in_days(3 + number), in_days(3 + number, 10))
    await practice.visit()
    remote.delete("0")
    remote.oldest_cursor = len(remote.changed)
    remote.fault_at_page = 3
    await practice.visit()
    remote.fault_at_page = None

    await practice.visit()

    assert [start for start, _ in await practice.busy()] == [in_days(3 + n) for n in range(1, 8)]


async def test_one_bad_event_is_skipped_and_what_it_said_before_stands(
    practice: Practice,
) -> None:
    remote = practice.remote
    remote.set("good", in_days(3), in_days(3, 10))
    remote.set("odd", in_days(4), in_days(4, 10))
    await practice.visit()
    remote.unreadable = {"odd"}
    remote.set("good", in_days(5), in_days(5, 10))
    remote.set("odd", in_days(6), in_days(6, 10))
    await practice.visit()
    after_change = await practice.busy()
    async with practice.database.transaction() as db:
        await resync(db, PROVIDER, practice.id)
    await practice.visit()

    assert (
        after_change
        == await practice.busy()
        == [
            (in_days(4), in_days(4, 10)),
            (in_days(5), in_days(5, 10)),
        ]
    )
    (found,) = await practice.sql("SELECT problem FROM external_events WHERE external_id = 'odd'")
    assert found["problem"] == "odd"
    assert (await practice.row())["last_error"] is None


async def test_an_hour_without_an_answer(practice: Practice) -> None:
    remote = practice.remote
    remote.set("a", in_days(3), in_days(3, 10))
    await practice.visit()
    before = await practice.row()
    await practice.told()

    pauses = []
    for _ in range(8):
        remote.faults = [Temporary("unreachable")]
        await practice.visit()
        row = await practice.row()
        pauses.append(row["next_visit_at"] - row["last_error_at"])
    remote.set("a", in_days(3, 11), in_days(3, 12))
    failing = await practice.row()
    silence = await practice.told()
    await practice.visit()

    assert silence == []
    assert (failing["failures"], failing["last_error"]) == (8, "unreachable")
    assert failing["read_at"] == before["read_at"]
    assert timedelta(seconds=20) <= pauses[0] <= timedelta(seconds=24)
    assert timedelta(minutes=30) <= pauses[-1] <= timedelta(minutes=36)
    assert await practice.busy() == [(in_days(3, 11), in_days(3, 12))]
    assert (await practice.row())["failures"] == 0


async def test_the_provider_is_left_alone_as_long_as_it_asks(practice: Practice) -> None:
    practice.remote.faults = [Temporary("too_many_requests", timedelta(hours=2))]
    await practice.visit()
    await practice.sql("UPDATE connections SET nudges = nudges")
    async with practice.database.transaction() as db:
        await resync(db, PROVIDER, practice.id)
    reads = practice.remote.reads

    await practice.visit(wait=False)

    (row,) = await practice.sql("SELECT next_visit_at - now() AS pause FROM connections")
    assert row["pause"] > timedelta(minutes=119)
    assert practice.remote.reads == reads


async def test_access_that_is_gone_breaks_the_connection_once(practice: Practice) -> None:
    practice.remote.set("a", in_days(3), in_days(3, 10))
    await practice.visit()
    await practice.told()
    practice.remote.faults = [AccessGone("invalid_grant")]

    await practice.visit()
    reads = practice.remote.reads
    await practice.visit()
    await practice.visit()

    (event,) = await practice.told()
    assert (event.type, event.reason) == ("calendar.connection_broken", "invalid_grant")
    assert practice.remote.reads == reads
    assert len(await practice.sql("SELECT FROM external_busy_times")) == 1


async def test_that_it_works_is_told_again_before_an_hour_is_over(practice: Practice) -> None:
    await practice.visit()
    await practice.told()
    await practice.visit()
    soon = await practice.told_types()
    await practice.sql("UPDATE connections SET told_at = told_at - interval '21 minutes'")
    await practice.visit()

    assert soon == []
    assert await practice.told_types() == ["connection_connected"]


async def test_a_calendar_that_is_gone_is_not_taken_for_free(practice: Practice) -> None:
    practice.remote.set("a", in_days(3), in_days(3, 10))
    await practice.visit()
    read_at = (await practice.row())["read_at"]
    practice.remote.faults = [NotFound("calendar_gone")]

    await practice.visit()

    row = await practice.row()
    assert (row["last_error"], row["read_at"]) == ("calendar_gone", read_at)
    assert await practice.busy() == [(in_days(3), in_days(3, 10))]


async def test_a_calendar_that_is_not_chosen_any_more_makes_nobody_busy(
    database: Database, tell: Tell, the_provider: ProviderUpdated
) -> None:
    await tell(the_provider)
    practice = await a_practice(database, PROVIDER, Remote(), calendars=("main", "private"))
    practice.remote.set("a", in_days(3), in_days(3, 10))
    practice.remote.set("b", in_days(4), in_days(4, 10), calendar="private")
    await practice.visit()
    both = await practice.busy()
    (main,) = await practice.sql("SELECT id FROM calendars WHERE external_id = 'main'")

    async with database.transaction() as db:
        await choose(db, PROVIDER, practice.id, {"busy_calendar_ids": [main["id"]]})
    await practice.visit()

    assert len(both) == 2
    assert await practice.busy() == [(in_days(3), in_days(3, 10))]


async def test_the_horizon_moves_on_with_the_months(practice: Practice) -> None:
    practice.remote.set("a", in_days(3), in_days(3, 10))
    await practice.visit()
    await practice.sql(
        "UPDATE calendars SET window_starts_at = window_starts_at - interval '1 month'"
    )

    await practice.visit()
    await practice.visit()

    assert practice.remote.full_reads == 2
    assert await practice.busy() == [(in_days(3), in_days(3, 10))]


async def test_renewed_credentials_are_kept_at_once(practice: Practice) -> None:
    practice.remote.renew = True
    for _ in range(3):
        await practice.visit()

    assert [each["token"] for each in practice.remote.opened_with] == ["1", "2", "3"]


async def test_of_twenty_workers_one_visits_an_account(
    database: Database, tell: Tell, the_provider: ProviderUpdated
) -> None:
    await tell(the_provider)
    remote = Remote(renew=True)
    practice = await a_practice(database, PROVIDER, remote)
    remote.set("a", in_days(3), in_days(3, 10))

    for _ in range(10):
        await practice.sql("UPDATE connections SET next_visit_at = now()")
        await asyncio.gather(*(practice.visitor.tick() for _ in range(20)))
        await practice.visitor.idle()

    assert remote.most_at_once == 1
    assert [each["token"] for each in remote.opened_with] == [str(n) for n in range(1, 11)]


async def test_a_nudge_during_a_visit_is_not_lost(practice: Practice) -> None:
    remote = practice.remote
    await practice.visit()
    remote.set("a", in_days(3), in_days(3, 10))
    remote.before_page = asyncio.Event()
    remote.at_page.clear()
    await practice.sql("UPDATE connections SET next_visit_at = now()")
    await practice.visitor.tick()
    await remote.at_page.wait()
    remote.set("b", in_days(4), in_days(4, 10))
    async with practice.database.transaction() as db:
        await choose(db, PROVIDER, practice.id, {"on_drift": "leave"})
    remote.before_page.set()
    await practice.visitor.idle()

    await practice.visit(wait=False)

    assert len(await practice.busy()) == 2


async def test_a_resync_during_a_visit_is_not_lost(practice: Practice) -> None:
    remote = practice.remote
    await practice.visit()
    remote.set("a", in_days(3), in_days(3, 10))
    remote.before_page = asyncio.Event()
    remote.at_page.clear()
    await practice.sql("UPDATE connections SET next_visit_at = now()")
    await practice.visitor.tick()
    await remote.at_page.wait()
    async with practice.database.transaction() as db:
        await resync(db, PROVIDER, practice.id)
    remote.before_page.set()
    await practice.visitor.idle()
    await practice.visit(wait=False)

    assert remote.full_reads == 2
    assert len(await practice.busy()) == 1


async def test_clocks_that_jump_change_nothing(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.remote.set("a", in_days(3), in_days(3, 10))
    real = time.time
    for jump in (86400.0 * 400, -86400.0 * 400):
        monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
        await practice.visit()
    monkeypatch.undo()

    assert practice.remote.full_reads == 1
    assert await practice.busy() == [(in_days(3), in_days(3, 10))]


async def test_a_month_with_very_many_events_is_told_by_the_quarter(practice: Practice) -> None:
    practice.remote.page_size = 5000
    start = (in_days(40, 0).replace(day=1) + 40 * DAY).replace(day=10)
    for number in range(4000):
        at = start + number * timedelta(minutes=1)
        practice.remote.set(f"{number}", at, at + timedelta(seconds=30))

    await practice.visit()

    busy = await practice.busy()
    assert busy[0][0] == start
    assert busy[-1][1] >= start + 4000 * timedelta(minutes=1) - timedelta(minutes=1)
    assert len(busy) <= 2


async def test_the_providers_zone_is_that_of_calendars_without_one(
    practice: Practice, tell: Tell, the_provider: ProviderUpdated
) -> None:
    await practice.sql("UPDATE calendars SET timezone = 'Customized Time Zone 1'")
    day = in_days(200, 0).date()
    practice.remote.calendar()["d"] = ExternalEvent(
        id="d", occurrences=(Occurrence(start=day, end=day + DAY),)
    )
    await practice.visit()
    athens = await practice.busy()
    await tell(the_provider.model_copy(update={"version": 2, "timezone": "Asia/Kathmandu"}))
    await practice.visit()

    assert athens[0][0].hour in (21, 22)
    ((start, _),) = await practice.busy()
    assert (start.hour, start.minute) == (18, 15)


async def test_a_deleted_providers_calendars_are_let_go(practice: Practice, tell: Tell) -> None:
    practice.remote.set("a", in_days(3), in_days(3, 10))
    await practice.visit()
    await practice.told()

    await tell(ProviderDeleted(id=PROVIDER, version=2))
    await practice.visit()

    assert await practice.told_types() == ["connection_deleted"]
    assert (practice.remote.revoked, await practice.sql("SELECT FROM connections")) == (1, [])


async def test_all_day_is_the_day_of_the_calendars_zone(practice: Practice) -> None:
    day = in_days(200, 0).date()
    practice.remote.calendar()["d"] = ExternalEvent(
        id="d", occurrences=(Occurrence(start=day, end=day + DAY),)
    )
    await practice.visit()

    midnight, next_midnight = (
        datetime(each.year, each.month, each.day, tzinfo=ZoneInfo("Europe/Athens"))
        for each in (day, day + DAY)
    )
    assert await practice.busy() == [(midnight, next_midnight)]
