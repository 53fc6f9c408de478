"""The list of timeslots: what is in it, for whom, and when it is another one."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from availability.domain.resources import Mode
from availability.domain.schedule import ExceptionKind
from availability.models import AppointmentType
from availability.schemas.timeslots import AvailabilityOut
from availability.use_cases.appointment_types import (
    NewAppointmentType,
    add_appointment_type,
    change_appointment_type,
)
from availability.use_cases.exceptions import NewException, add_exception
from availability.use_cases.locations import NewLocation, NewRoom, add_location
from availability.use_cases.providers import change_provider
from shared.db import Database
from shared.http import AsyncClient, Response

from .builders import DAY, MINUTE, Practice, a_booking, a_practice, in_days, receive
from .conftest import As


async def timeslots(api: AsyncClient, practice: Practice, on: datetime, extra: str = "") -> Any:
    answer = await api.get(f"{practice.path()}&date={on:%Y-%m-%d}{extra}")
    assert answer.status_code == 200, answer.text
    return answer.json()["timeslots"]


async def starts(api: AsyncClient, practice: Practice, on: datetime, extra: str = "") -> list[str]:
    return [f"{slot['start'][11:16]}" for slot in await timeslots(api, practice, on, extra)]


async def test_a_day_in_full(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    nine = in_days(3)

    answer = await api.get(f"{practice.path()}&date={nine:%Y-%m-%d}")

    body = answer.json()
    day = f"{nine:%Y-%m-%d}"
    assert {name: value for name, value in body.items() if name != "timeslots"} == {
        "providerId": str(practice.provider_id),
        "serviceId": str(practice.service_id),
        "timezone": "UTC",
        "from": day,
        "to": day,
        "sources": [],
    }
    assert body["timeslots"][0] == {
        "id": practice.timeslot_id(nine),
        "start": f"{day}T09:00:00.000Z",
        "end": f"{day}T09:30:00.000Z",
        "status": "available",
        "capacityLeft": 1,
        "locationId": str(practice.location_id),
        "roomId": str(practice.room_ids[0]),
        "mode": "in_person",
        "unconfirmedCalendar": False,
        "heldByYou": False,
    }
    assert len(body["timeslots"]) == 6
    AvailabilityOut.model_validate_json(answer.content)
    assert answer.headers["cache-control"] == "private, max-age=15"


async def test_a_range_includes_both_days(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)
    first, last = in_days(3), in_days(5)

    answer = await api.get(f"{practice.path()}&from={first:%Y-%m-%d}&to={last:%Y-%m-%d}")

    days = {slot["start"][:10] for slot in answer.json()["timeslots"]}
    assert days == {f"{first + n * DAY:%Y-%m-%d}" for n in range(3)}


async def test_sixty_two_days_are_answered_at_once(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)
    first = in_days(1)

    answer = await api.get(
        f"{practice.path()}&from={first:%Y-%m-%d}&to={first + 61 * DAY:%Y-%m-%d}"
    )

    assert len(answer.json()["timeslots"]) == 62 * 6


@pytest.mark.parametrize(
    ("timezone", "hours"),
    [
        ("UTC", {9, 10, 11}),
        # Open from 9 to 12 there; a day in Kiritimati is mostly the day before in UTC.
        ("Pacific/Kiritimati", {19, 20, 21}),
        ("America/Los_Angeles", {16, 17, 18, 19}),
    ],
)
async def test_dates_are_days_of_the_provider(
    api: AsyncClient, database: Database, timezone: str, hours: set[int]
) -> None:
    practice = await a_practice(database, timezone=timezone)
    on = in_days(5)

    slots = await timeslots(api, practice, on)

    assert len(slots) == 6
    assert {int(slot["start"][11:13]) for slot in slots} <= hours
    in_zone = await timeslots(api, practice, on, f"&timezone={timezone}")
    assert in_zone == slots


async def test_dates_may_be_days_of_another_zone(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)
    on = in_days(5)

    answer = await api.get(f"{practice.path()}&date={on:%Y-%m-%d}&timezone=Pacific/Kiritimati")

    # There it is that day from 10:00 UTC of the day before.
    body = answer.json()
    begins = (on - DAY).replace(hour=10, minute=0)
    seen = [datetime.fromisoformat(slot["start"]) for slot in body["timeslots"]]
    assert body["timezone"] == "Pacific/Kiritimati"
    assert seen == [
        *(begins + n * 30 * MINUTE for n in range(4)),
        *(on.replace(hour=9, minute=0) + n * 30 * MINUTE for n in range(2)),
    ]


async def test_the_horizon_is_counted_in_days_of_the_provider_whatever_zone_is_asked_for(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database, max_future_days=2)
    asked_at = datetime.now(UTC)

    answer = await api.get(
        f"{practice.path()}&from={asked_at:%Y-%m-%d}&to={asked_at + 9 * DAY:%Y-%m-%d}"
        "&timezone=Pacific/Kiritimati"
    )

    answered_at = datetime.now(UTC)
    last = datetime.fromisoformat(answer.json()["timeslots"][-1]["start"])
    # The day may have changed while it was asked.
    assert (asked_at + 2 * DAY).date() <= last.date() <= (answered_at + 2 * DAY).date()
    assert f"{last:%H:%M}" == "11:30"


async def test_what_notice_forbids_is_not_listed(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(
        database, min_notice_minutes=3 * 24 * 60, rule={"start_minute": 0, "end_minute": 1440}
    )
    before = datetime.now(UTC)

    first, last = before, before + 5 * DAY
    answer = await api.get(f"{practice.path()}&from={first:%Y-%m-%d}&to={last:%Y-%m-%d}")

    earliest = datetime.fromisoformat(answer.json()["timeslots"][0]["start"])
    assert before + 3 * DAY <= earliest <= before + 3 * DAY + 35 * MINUTE


async def test_days_that_are_over_are_empty(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)

    assert await timeslots(api, practice, in_days(-3)) == []


async def test_breaks_and_exceptions_count(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)
    on = in_days(3)
    async with database.orm_transaction() as db:
        for kind, hour in ((ExceptionKind.BLOCKED, 10), (ExceptionKind.AVAILABLE, 15)):
            start = on.replace(hour=hour)
            new = NewException(kind=kind, starts_at=start, ends_at=start + timedelta(hours=1))
            await add_exception(db, practice.provider_id, new)

    seen = await starts(api, practice, on)

    assert seen == ["09:00", "09:30", "11:00", "11:30", "15:00", "15:15", "15:30"]
    assert len(await starts(api, practice, on + DAY)) == 6


async def test_an_external_busy_time_hides_what_it_touches(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database)
    on = in_days(3)
    async with database.transaction() as db:
        await db.execute(
            "INSERT INTO external_busy_times VALUES ($1, $2, $3, 'event', 'google', $4, $5, now())",
            *(uuid4(), practice.provider_id, uuid4()),
            on.replace(hour=10, minute=0, second=30),
            on.replace(hour=10, minute=29, second=30),
        )

    seen = await starts(api, practice, on)

    assert seen == ["09:00", "09:30", "10:30", "11:00", "11:30"]


async def test_the_filters(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database, staff=2, rooms=[NewRoom(name="1"), NewRoom(name="2")])
    on = in_days(3)
    (first, second), rooms = practice.unit_ids[:2], practice.unit_ids[2:]
    ten = on.replace(hour=10)
    await receive(
        database,
        a_booking(practice, on, "held", units=[first, rooms[0]]),
        a_booking(practice, on, units=[second, rooms[1]]),
        a_booking(practice, ten, units=[first, rooms[0]]),
        a_booking(practice, ten, units=[second, rooms[1]]),
    )

    assert [(s["status"], s["capacityLeft"]) for s in await timeslots(api, practice, on)] == [
        ("reserved", 0),
        ("available", 2),
        ("booked", 0),
        ("available", 2),
        ("available", 2),
        ("available", 2),
    ]
    assert await starts(api, practice, on, "&status=reserved") == ["09:00"]
    assert await starts(api, practice, on, "&status=booked,reserved") == ["09:00", "10:00"]
    assert await starts(api, practice, on, "&mode=video") == []
    assert len(await starts(api, practice, on, "&mode=in_person")) == 6
    assert len(await starts(api, practice, on, f"&locationId={practice.location_id}")) == 6
    assert await starts(api, practice, on, f"&locationId={uuid4()}") == []


async def test_each_location_has_timeslots_of_its_own(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    async with database.orm_transaction() as db:
        new = NewLocation(name="B", timezone="UTC")
        second = await add_location(db, practice.provider_id, new)
    on = in_days(3)

    slots = await timeslots(api, practice, on)

    at = [(slot["start"], slot["locationId"]) for slot in slots]
    assert at == sorted(at, key=lambda each: each[0])
    assert len({slot["id"] for slot in slots}) == 12
    assert {slot["locationId"] for slot in slots} == {str(practice.location_id), str(second.id)}
    async with database.orm_transaction() as db:
        changes = {"location_ids": [second.id]}
        await change_appointment_type(db, practice.provider_id, practice.service_id, changes)
    slots = await timeslots(api, practice, on)
    assert {slot["locationId"] for slot in slots} == {str(second.id)}


async def test_a_service_of_one_mode_ignores_the_rules_of_another(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database, rule={"scope_mode": Mode.VIDEO})

    assert await timeslots(api, practice, in_days(3)) == []


async def test_any_user_may_ask_and_nobody_else(
    api: AsyncClient, database: Database, as_user: As
) -> None:
    practice = await a_practice(database)
    path = f"{practice.path()}&date={in_days(3):%Y-%m-%d}"

    for role in ("patient", "provider", "admin"):
        assert (await api.get(path, headers=as_user(role, uuid4()))).status_code == 200
    answer = await api.get(path, headers={"Authorization": ""})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_what_is_not_there_or_not_in_use_is_not_found(
    api: AsyncClient, database: Database
) -> None:
    practice, other = await a_practice(database), await a_practice(database)
    date = f"&date={in_days(3):%Y-%m-%d}"

    async def code(provider_id: object, service_id: object) -> tuple[int, str]:
        path = f"/v1/providers/{provider_id}/availability?serviceId={service_id}{date}"
        answer = await api.get(path)
        return answer.status_code, answer.json().get("code")

    assert await code(uuid4(), practice.service_id) == (404, "provider_not_found")
    assert await code(practice.provider_id, uuid4()) == (404, "service_not_found")
    assert await code(practice.provider_id, other.service_id) == (404, "service_not_found")
    off = {"is_active": False}
    async with database.orm_transaction() as db:
        await change_appointment_type(db, practice.provider_id, practice.service_id, off)
        await change_provider(db, other.provider_id, off)
    assert await code(practice.provider_id, practice.service_id) == (404, "service_not_found")
    assert await code(other.provider_id, other.service_id) == (404, "provider_not_found")


BAD = [
    ("", "date", "REQUIRED"),
    ("&from=2030-01-01", "to", "REQUIRED"),
    ("&to=2030-01-01", "from", "REQUIRED"),
    ("&date=2030-01-01&from=2030-01-01&to=2030-01-01", "date", "DATE_AND_RANGE"),
    ("&date=2030-01-01&to=2030-01-01", "date", "DATE_AND_RANGE"),
    ("&from=2030-01-02&to=2030-01-01", "to", "END_BEFORE_START"),
    ("&from=2030-01-01&to=2030-03-04", "to", "RANGE_TOO_LONG"),
    ("&from=1970-01-01&to=2199-12-31", "to", "RANGE_TOO_LONG"),
    ("&date=2030-02-30", "date", "NO_SUCH_DATE"),
    ("&date=0000-01-01", "date", "NO_SUCH_DATE"),
    ("&date=9999-12-31", "date", "YEAR_OUT_OF_RANGE"),
    ("&date=1735689600", "date", "NOT_A_DATE"),
    ("&date=2030-01-01T00:00:00Z", "date", "NOT_A_DATE"),
    ("&date=", "date", "NOT_A_DATE"),
    ("&date=2030-01-01&date=2030-01-02", "date", "REPEATED"),
    ("&date=2030-01-01&timezone=Mars/Base", "timezone", "UNKNOWN_TIME_ZONE"),
    ("&date=2030-01-01&timezone=../../etc/passwd", "timezone", "UNKNOWN_TIME_ZONE"),
    ("&date=2030-01-01&timezone=Europe", "timezone", "UNKNOWN_TIME_ZONE"),
    ("&date=2030-01-01&timezone=", "timezone", "UNKNOWN_TIME_ZONE"),
    ("&date=2030-01-01&mode=telepathy", "mode", "NOT_ALLOWED"),
    ("&date=2030-01-01&status=free", "status", "NOT_ALLOWED"),
    ("&date=2030-01-01&status=", "status", "NOT_ALLOWED"),
    ("&date=2030-01-01&status=available,", "status", "NOT_ALLOWED"),
    ("&date=2030-01-01&status=" + "available," * 99, "status", "NOT_ALLOWED"),
    ("&date=2030-01-01&locationId=7", "locationId", "NOT_AN_ID"),
    ("&date=2030-01-01&page=2", "page", "UNKNOWN_FIELD"),
]


async def test_bad_input_names_its_field(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)

    for query, path, code in BAD:
        answer = await api.get(practice.path() + query)
        assert answer.status_code == 422, (query, answer.text)
        faults = [(each["path"], each["code"]) for each in answer.json()["errors"]]
        assert (path, code) in faults, query

    assert len(await timeslots(api, practice, in_days(3))) == 6


async def test_the_ends_of_time_are_just_empty(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)

    for date in ("1970-01-01", "2199-12-31"):
        answer = await api.get(f"{practice.path()}&date={date}&timezone=Pacific/Kiritimati")
        assert (answer.status_code, answer.json()["timeslots"]) == (200, [])


async def ask(api: AsyncClient, practice: Practice, on: datetime, **headers: str) -> Response:
    return await api.get(f"{practice.path()}&date={on:%Y-%m-%d}", headers=headers)


async def test_the_etag_changes_exactly_when_the_answer_does(
    api: AsyncClient, database: Database, as_user: As
) -> None:
    practice, other = await a_practice(database), await a_practice(database)
    on = in_days(3)
    first = await ask(api, practice, on)
    etag = first.headers["etag"]

    await receive(database, a_booking(practice, on + DAY), a_booking(other, on))
    same = await ask(api, practice, on)
    held = a_booking(practice, on, "held")
    await receive(database, held)
    reserved = await ask(api, practice, on)
    mine = await ask(api, practice, on, **as_user("patient", held.user_id))

    assert (same.headers["etag"], same.content) == (etag, first.content)
    await receive(database, a_booking(practice, on, id=held.id, version=2))
    booked = await ask(api, practice, on)
    assert len({each.headers["etag"] for each in (first, reserved, mine, booked)}) == 4
    await receive(database, a_booking(practice, on, "cancelled", id=held.id, version=3))
    again = await ask(api, practice, on)
    assert (again.headers["etag"], again.content) == (etag, first.content)


async def test_each_query_has_an_etag_of_its_own(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)
    on = in_days(3)
    await receive(database, a_booking(practice, on))
    path = f"{practice.path()}&date={on:%Y-%m-%d}"
    queries = ["", "&status=available", "&status=booked", "&timezone=Europe/London", "&mode=video"]

    answers = [await api.get(path + each) for each in queries]

    assert len({answer.headers["etag"] for answer in answers}) == len(queries)


async def test_a_known_answer_is_not_sent_again(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)
    on = in_days(3)
    known = (await ask(api, practice, on)).headers["etag"]

    for shape in ("{}", "W/{}", '"other", {}', "*", 'W/"a" , W/{} '):
        answer = await ask(api, practice, on, **{"If-None-Match": shape.format(known)})
        assert (answer.status_code, answer.content) == (304, b""), shape
        assert answer.headers["etag"] == known
    for header in ('"other"', "", "nonsense", '"', "W/", "*, x", known.strip('"')):
        answer = await ask(api, practice, on, **{"If-None-Match": header})
        assert answer.status_code == 200, header
    await receive(database, a_booking(practice, on))
    assert (await ask(api, practice, on, **{"If-None-Match": known})).status_code == 200


async def test_a_change_of_set_up_shows_at_once(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)
    on = in_days(3)
    assert len(await timeslots(api, practice, on)) == 6

    async with database.orm_transaction() as db:
        changes = {"duration_minutes": 90}
        await change_appointment_type(db, practice.provider_id, practice.service_id, changes)

    assert await starts(api, practice, on) == ["09:00", "09:30", "10:00", "10:30"]


async def test_two_services_of_one_provider_share_their_time(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database)
    on = in_days(3)
    async with database.orm_transaction() as db:
        new = NewAppointmentType(
            slug="long", name="Long", mode=Mode.VIDEO, duration_minutes=60, buffer_before_minutes=30
        )
        long: AppointmentType = await add_appointment_type(db, practice.provider_id, new)
    await receive(database, a_booking(practice, on.replace(hour=10, minute=30)))

    path = f"/v1/providers/{practice.provider_id}/availability?serviceId={long.id}"
    answer = await api.get(f"{path}&date={on:%Y-%m-%d}")

    seen = [(slot["start"][11:16], slot["status"]) for slot in answer.json()["timeslots"]]
    assert seen == [
        ("09:30", "available"),
        ("10:00", "booked"),
        ("10:30", "booked"),
        ("11:00", "booked"),
    ]
