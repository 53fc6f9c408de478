"""Everything together, with Google's double: whatever goes wrong, the end is the remote truth."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from calendar_sync.use_cases.choose import choose
from calendar_sync.use_cases.disconnect import disconnect
from shared.db import Database
from shared.events.booking import (
    AppointmentEvent,
    BookingCancelled,
    BookingConfirmed,
    BookingRescheduled,
)
from shared.events.provider import ProviderUpdated
from shared.http import AsyncClient
from shared.ids import new_id

from .conftest import OWN_SETTINGS, PROVIDER, AnAppointment, Tell
from .google_double.refusals import GoogleSaysNo
from .google_double.server import CLIENT_ID, CLIENT_SECRET
from .google_practice import GooglePractice, a_google_practice, at, is_ours
from .practice import DAY, HOUR, in_days

AT, LATER = in_days(5), in_days(6)


@pytest.fixture
async def practice(
    database: Database, tell: Tell, the_provider: ProviderUpdated
) -> AsyncIterator[GooglePractice]:
    await tell(the_provider)
    async with a_google_practice(database) as practice:
        await practice.visit()
        await practice.told()
        yield practice


@pytest.fixture
def confirmed(an_appointment: AnAppointment) -> AppointmentEvent:
    return an_appointment(BookingConfirmed, start=AT)


async def test_the_whole_cycle(
    practice: GooglePractice,
    tell: Tell,
    confirmed: AppointmentEvent,
    an_appointment: AnAppointment,
) -> None:
    lunch = practice.enter(in_days(3, 12), HOUR)
    practice.enter(in_days(3, 15), HOUR, transparency="transparent")
    await tell(confirmed)
    await practice.visit()
    assert await practice.busy() == [(in_days(3, 12), in_days(3, 13))]
    assert practice.written() == [AT]
    (event,) = [item for item in practice.live() if item["start"]["dateTime"] == f"{AT:%FT%TZ}"]

    practice.google.edit(practice.calendar, lunch, start=at(in_days(3, 13)), end=at(in_days(3, 14)))
    new = an_appointment(
        BookingRescheduled, id=new_id(), start=LATER, rescheduled_from=confirmed.id
    )
    old = an_appointment(
        BookingCancelled, id=confirmed.id, version=3, start=AT, rescheduled_to=new.id
    )
    await tell(new, old)
    await practice.visit()
    assert await practice.busy() == practice.truth() == [(in_days(3, 13), in_days(3, 14))]
    assert practice.written() == [LATER]
    assert practice.calendar.get(event["id"])["status"] == "confirmed"

    practice.google.remove(practice.calendar, lunch)
    await tell(an_appointment(BookingCancelled, id=new.id, version=3, start=LATER))
    await practice.visit()
    assert await practice.busy() == []
    assert practice.written() == []
    assert len(practice.calendar.events) == 3


async def test_a_quiet_visit_is_one_request(practice: GooglePractice) -> None:
    practice.enter(in_days(3), HOUR)
    await practice.visit()
    await practice.told()
    before = len(practice.google.requests)

    await practice.visit()

    assert [path for _, path, _ in practice.google.requests[before:]] == [
        "/calendar/v3/calendars/doctor%40example.com/events"
    ]
    assert await practice.told() == []


async def test_a_series_over_a_change_of_the_clocks_is_busy_at_its_local_time(
    practice: GooglePractice,
) -> None:
    # The next last Sunday of March: then Athens goes to summer time. That of next year may be
    # further ahead than calendars are read.
    sunday = min(
        day
        for year in (in_days(0).year, in_days(0).year + 1)
        for day in (datetime(year, 3, each, tzinfo=UTC) for each in range(25, 32))
        if day.weekday() == 6 and day > in_days(2)
    )
    start = sunday - DAY + 7 * HOUR  # 09:00 in winter
    series = practice.enter(start, HOUR, recurrence=["RRULE:FREQ=DAILY;COUNT=3"])

    await practice.visit()
    told = await practice.busy()
    practice.google.remove(practice.calendar, series)
    await practice.visit()

    assert told == [
        (start, start + HOUR),
        (start + DAY - HOUR, start + DAY),
        (start + 2 * DAY - HOUR, start + 2 * DAY),
    ]
    assert await practice.busy() == []


async def test_drift_is_repaired_and_the_appointment_stays(
    practice: GooglePractice, tell: Tell, confirmed: AppointmentEvent
) -> None:
    await tell(confirmed)
    await practice.visit()
    (item,) = practice.live()

    practice.google.edit(practice.calendar, item["id"], start=at(LATER), end=at(LATER + HOUR))
    await practice.visit()
    moved_back = practice.written()
    practice.google.remove(practice.calendar, item["id"])
    await practice.visit()

    assert moved_back == [AT]
    assert practice.written() == [AT]
    assert await practice.busy() == []
    assert len(practice.calendar.events) == 1


async def test_an_event_of_ours_that_was_deleted_before_it_was_ever_read_is_missed(
    practice: GooglePractice, tell: Tell, confirmed: AppointmentEvent
) -> None:
    await tell(confirmed)
    # The reading after the writing is as if the worker had died before it.
    practice.google.faults.plan("GET", "/events", GoogleSaysNo(503, "backendError"))
    await practice.visit()
    (item,) = practice.live()
    practice.google.remove(practice.calendar, item["id"])
    practice.google.forget_sync_tokens(practice.calendar)

    await practice.visit()

    assert practice.written() == [AT]


async def test_drift_may_be_left(
    practice: GooglePractice, tell: Tell, confirmed: AppointmentEvent
) -> None:
    async with practice.database.transaction() as db:
        await choose(db, PROVIDER, practice.id, {"on_drift": "leave"})
    await tell(confirmed)
    await practice.visit()
    (item,) = practice.live()

    practice.google.remove(practice.calendar, item["id"])
    await practice.visit()

    assert practice.written() == []
    (row,) = await practice.sql("SELECT drift FROM written_events")
    assert row["drift"] == "deleted"


# What goes wrong


async def test_a_worker_killed_after_the_insert_leaves_one_event(
    practice: GooglePractice,
    tell: Tell,
    confirmed: AppointmentEvent,
    settings_values: dict[str, Any],
) -> None:
    await tell(confirmed)
    google = practice.google
    google.faults.held = asyncio.Event()
    await practice.sql("UPDATE connections SET next_visit_at = now()")
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "calendar_sync.worker",
        env={**os.environ, **environment(practice, settings_values)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            await google.faults.holding.wait()
    finally:
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
    google.faults.held.set()
    google.faults.held = None
    written_when_killed = practice.written()
    unknown = await practice.sql("SELECT external_id FROM written_events")

    # Two minutes later.
    await practice.sql("UPDATE connections SET lease_until = now()")
    await practice.visit()

    assert written_when_killed == [AT]
    assert unknown == [{"external_id": None}]
    assert practice.written() == [AT]
    assert len(practice.calendar.events) == 1
    assert (await practice.told_types()).count("event_written") == 1


def environment(practice: GooglePractice, settings_values: dict[str, Any]) -> dict[str, str]:
    url = practice.google.url
    values = settings_values | OWN_SETTINGS
    values |= {
        "google_client_id": CLIENT_ID,
        "google_client_secret": CLIENT_SECRET,
        "google_api_url": practice.google.api_url,
        "google_token_url": f"{url}/token",
    }
    return {name.upper(): str(value) for name, value in values.items()}


@pytest.mark.parametrize("page", [0, 1, 2])
async def test_a_sync_token_that_dies_in_the_middle_loses_nothing(
    practice: GooglePractice, page: int
) -> None:
    for day in range(2, 12):
        practice.enter(in_days(day), HOUR)
    await practice.visit()
    before = await practice.busy()
    for event in list(practice.calendar.events)[:3]:
        practice.google.remove(practice.calendar, event)
    for day in range(20, 26):
        practice.enter(in_days(day), HOUR)
    practice.google.lists.most_of_a_page = 3
    gone = GoogleSaysNo(410, "fullSyncRequired")
    practice.google.faults.plan("GET", "/events", gone, skip=page)

    await practice.visit()

    assert len(before) == 10
    assert await practice.busy() == practice.truth()


async def test_busy_times_never_vanish_while_everything_is_read_anew(
    practice: GooglePractice,
) -> None:
    for day in range(2, 8):
        practice.enter(in_days(day), HOUR)
    await practice.visit()
    before = await practice.busy()
    practice.google.forget_sync_tokens(practice.calendar)
    practice.google.lists.most_of_a_page = 2
    # The token is dead, and then the full reading breaks off after its first page.
    practice.google.faults.plan("GET", "/events", GoogleSaysNo(503, "backendError"), skip=2)

    await practice.visit()
    broken_off = await practice.told()
    await practice.visit()

    assert broken_off == []
    assert await practice.busy() == before == practice.truth()


async def test_two_workers_renew_once(practice: GooglePractice) -> None:
    workers = [practice.another_worker() for _ in range(20)]
    practice.google.ahead = timedelta(hours=2)
    # By our own clock the token is good, so everybody would be told 401.
    before = practice.google.consents.refreshes
    await practice.sql("UPDATE connections SET next_visit_at = now()")

    await asyncio.gather(*(worker.tick() for worker in workers))
    await asyncio.gather(*(worker.idle() for worker in workers))

    assert practice.google.consents.refreshes - before == 1
    assert (await practice.row())["failures"] == 0


async def test_google_is_down_for_an_hour(
    practice: GooglePractice,
    tell: Tell,
    confirmed: AppointmentEvent,
    an_appointment: AnAppointment,
) -> None:
    practice.enter(in_days(3), HOUR)
    await practice.visit()
    known = await practice.busy()
    practice.google.faults.is_down = True
    await tell(confirmed)
    pauses = []
    for _ in range(8):
        await practice.visit()
        row = await practice.row()
        pauses.append((row["next_visit_at"] - datetime.now(UTC)).total_seconds())
    state, busy_meanwhile = (await practice.row())["state"], await practice.busy()
    await tell(an_appointment(BookingConfirmed, start=LATER))
    practice.enter(in_days(4), HOUR)

    practice.google.faults.is_down = False
    await practice.visit()

    assert (state, busy_meanwhile) == ("connected", known)
    assert pauses[0] < pauses[3] < pauses[7] < 3600
    assert practice.written() == [AT, LATER]
    assert await practice.busy() == practice.truth()
    assert (await practice.row())["failures"] == 0


async def test_googles_own_wish_for_peace_is_honoured(practice: GooglePractice) -> None:
    slow_down = GoogleSaysNo(429, "rateLimitExceeded", headers={"Retry-After": "900"})
    practice.google.faults.plan("GET", "/events", slow_down)

    await practice.visit()

    row = await practice.row()
    assert row["last_error"] == "rate_limited"
    assert row["not_before"] - row["last_error_at"] >= timedelta(seconds=900)


async def test_a_revoked_grant_breaks_the_connection_once(
    practice: GooglePractice, tell: Tell, confirmed: AppointmentEvent
) -> None:
    practice.google.consents.revoke(practice.calendar.owner)

    for _ in range(3):
        await practice.visit()
    calls = len(practice.google.requests)
    await tell(confirmed)
    await practice.visit()

    assert await practice.told_types() == ["connection_broken"]
    row = await practice.row()
    assert (row["state"], row["broken_because"]) == ("broken", "invalid_grant")
    assert len(practice.google.requests) == calls


@pytest.mark.parametrize("removes", [True, False])
async def test_a_disconnected_account_is_given_back(
    practice: GooglePractice, tell: Tell, confirmed: AppointmentEvent, removes: bool
) -> None:
    await tell(confirmed)
    await practice.visit()

    async with practice.database.transaction() as db:
        await disconnect(db, PROVIDER, practice.id, remove_events=removes)
    await practice.visit()

    assert practice.grant.is_revoked
    assert practice.written() == ([] if removes else [AT])
    assert await practice.sql("SELECT FROM connections") == []


async def test_pushes_that_are_lost_are_found_by_polling(
    practice: GooglePractice, client: AsyncClient
) -> None:
    chance = random.Random(7)
    google = practice.google

    async def deliver(address: str, headers: dict[str, str]) -> int:
        return (await client.post(address, headers=headers)).status_code

    google.channels.deliver = deliver
    google.channels.drops = lambda: chance.random() < 0.3
    google.channels.twice = True
    practice.visitor = practice.another_worker("https://clinic.example")
    await practice.visit()
    for day in range(2, 22):
        practice.enter(in_days(day), HOUR)
        await google.channels.quiet()
        # As if the rest after the last visit were over.
        await practice.sql("UPDATE connections SET next_visit_at = next_visit_at - interval '1 s'")
        await practice.visit(wait=False)
    pushed = await practice.busy()

    await practice.visit()

    assert len(google.channels.open) == 1
    assert {status for _, status in google.channels.sent} == {204}
    assert len(pushed) >= 19  # at most the last message was of no use
    assert await practice.busy() == practice.truth()


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_the_end_is_the_remote_truth(
    practice: GooglePractice, tell: Tell, an_appointment: AnAppointment, seed: int
) -> None:
    chance = random.Random(seed)
    google, calendar = practice.google, practice.calendar
    google.lists.most_of_a_page = 3
    by_hand: list[str] = []
    standing: dict[UUID, tuple[int, datetime]] = {}
    touched: list[str] = []

    def a_time() -> datetime:
        return in_days(chance.randrange(2, 60), chance.randrange(6, 18))

    async def appointment() -> None:
        id_, start = new_id(), a_time()
        standing[id_] = (2, start)
        await tell(an_appointment(BookingConfirmed, id=id_, start=start))

    async def cancellation() -> None:
        if standing:
            id_ = chance.choice(list(standing))
            version, start = standing.pop(id_)
            await tell(an_appointment(BookingCancelled, id=id_, version=version + 1, start=start))

    async def move() -> None:
        if standing:
            old, new = chance.choice(list(standing)), new_id()
            version, before = standing.pop(old)
            standing[new] = (2, a_time())
            told = [
                an_appointment(
                    BookingRescheduled, id=new, start=standing[new][1], rescheduled_from=old
                ),
                an_appointment(
                    BookingCancelled,
                    id=old,
                    version=version + 1,
                    start=before,
                    rescheduled_to=new,
                ),
            ]
            chance.shuffle(told)
            await tell(*told)

    def drift() -> None:
        # More often than three times in a row it is left to whoever insists.
        ours = [each["id"] for each in practice.live() if is_ours(each)]
        calm = [each for each in ours if touched.count(each) < 3]
        if calm:
            id_ = chance.choice(calm)
            touched.append(id_)
            start = a_time()
            if chance.random() < 0.5:
                google.remove(calendar, id_)
            else:
                google.edit(calendar, id_, start=at(start), end=at(start + HOUR))

    async def fault() -> None:
        method, path = chance.choice(
            [("GET", "/events"), ("POST", "/events"), ("PATCH", ""), ("POST", "/token")]
        )
        refusal = chance.choice(
            [
                None,
                GoogleSaysNo(503, "backendError"),
                GoogleSaysNo(403, "rateLimitExceeded"),
                GoogleSaysNo(429, "rateLimitExceeded", headers={"Retry-After": "3"}),
            ]
        )
        skip, is_after = chance.randrange(3), chance.random() < 0.5
        google.faults.plan(method, path, refusal, is_after=is_after, skip=skip)

    for _ in range(60):
        match chance.randrange(11):
            case 0 | 1:
                by_hand.append(practice.enter(a_time(), HOUR))
            case 2:
                rule = f"RRULE:FREQ=DAILY;COUNT={chance.randrange(1, 9)}"
                by_hand.append(practice.enter(a_time(), HOUR, recurrence=[rule]))
            case 3 if by_hand:
                google.remove(calendar, by_hand.pop(chance.randrange(len(by_hand))))
            case 4 if by_hand:
                start = a_time()
                google.edit(calendar, chance.choice(by_hand), start=at(start), end=at(start + HOUR))
            case 5:
                await appointment()
            case 6:
                await cancellation()
            case 7:
                await fault()
            case 8:
                await move()
            case 9:
                drift()
            case 10:
                match chance.randrange(4):
                    case 0:
                        google.forget_sync_tokens(calendar)
                    case 1:
                        google.ahead += timedelta(hours=1)
                    case _:
                        await practice.visit()

    google.faults.planned.clear()
    for _ in range(2):
        await practice.visit()
    assert await practice.busy() == practice.truth()
    assert practice.written() == sorted(start for _, start in standing.values())
    assert (await practice.row())["failures"] == 0
