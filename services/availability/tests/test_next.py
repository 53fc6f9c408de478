"""The next bookable timeslots of a provider, and those nearest to a wanted start."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from availability.domain.resources import Mode
from availability.domain.schedule import ExceptionKind
from availability.schemas.finding import FoundOut
from availability.use_cases.appointment_types import NewAppointmentType, add_appointment_type
from availability.use_cases.exceptions import NewException, add_exception
from availability.use_cases.locations import NewLocation, add_location
from availability.use_cases.rules import add_rules
from shared.db import Database
from shared.fields import instant_text
from shared.http import AsyncClient, Response

from .builders import DAY, MINUTE, Practice, a_booking, a_practice, a_rule, in_days, receive
from .conftest import As


async def ask(api: AsyncClient, practice: Practice, what: str, **wanted: Any) -> Response:
    params = {
        name: instant_text(value) if isinstance(value, datetime) else value
        for name, value in wanted.items()
    }
    path = practice.path(f"/{what}").partition("?")[0]
    return await api.get(path, params={"serviceId": str(practice.service_id)} | params)


async def found(api: AsyncClient, practice: Practice, what: str, **wanted: Any) -> list[datetime]:
    answer = await ask(api, practice, what, **wanted)
    assert answer.status_code == 200, answer.text
    FoundOut.model_validate_json(answer.content)
    return [datetime.fromisoformat(each["start"]) for each in answer.json()["timeslots"]]


async def block(database: Database, practice: Practice, start: datetime, end: datetime) -> None:
    async with database.orm_transaction() as db:
        new = NewException(kind=ExceptionKind.BLOCKED, starts_at=start, ends_at=end)
        await add_exception(db, practice.provider_id, new)


async def test_the_next_starts_are_the_first_free_ones(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database)
    nine = in_days(3)
    await receive(database, a_booking(practice, nine), a_booking(practice, in_days(3, 10), "held"))

    starts = await found(api, practice, "next", after=nine - MINUTE, limit=6)

    hours = [(3, 9, 30), (3, 10, 30), (3, 11, 0), (3, 11, 30), (4, 9, 0), (4, 9, 30)]
    assert starts == [in_days(*hour) for hour in hours]


async def test_after_an_instant_means_later_than_it(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)
    nine = in_days(3)

    assert (await found(api, practice, "next", after=nine, limit=1)) == [nine + 30 * MINUTE]
    just_before = nine - timedelta(milliseconds=1)
    assert (await found(api, practice, "next", after=just_before, limit=1)) == [nine]


async def test_without_an_instant_it_begins_now(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database, rule={"start_minute": 0, "end_minute": 1440})
    now = datetime.now(UTC)

    starts = await found(api, practice, "next")
    as_of_old = await found(api, practice, "next", after=now - 400 * DAY)

    assert len(starts) == 10
    assert timedelta() < starts[0] - now <= 31 * MINUTE
    assert starts == as_of_old


@pytest.mark.parametrize("days", [2, 13, 14, 15, 55, 56, 57, 200, 364])
async def test_it_looks_as_far_as_the_horizon(
    api: AsyncClient, database: Database, days: int
) -> None:
    practice = await a_practice(database)
    free = in_days(days, 9)
    await block(database, practice, in_days(0, 0), free)
    await block(database, practice, free + 30 * MINUTE, free + 366 * DAY)

    assert await found(api, practice, "next") == [free]


async def test_beyond_the_horizon_there_is_nothing(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database, max_future_days=20)

    asked_at = datetime.now(UTC)
    last = (await found(api, practice, "next", after=in_days(19, 11), limit=100))[-1]
    answered_at = datetime.now(UTC)

    # The day may have changed while it was asked.
    assert (asked_at + 20 * DAY).date() <= last.date() <= (answered_at + 20 * DAY).date()
    assert f"{last:%H:%M}" == "11:30"
    for far in (in_days(22), in_days(200), datetime(2199, 12, 31, tzinfo=UTC)):
        assert await found(api, practice, "next", after=far) == []


async def test_no_start_is_missing_or_double_where_one_stretch_ends(
    api: AsyncClient, database: Database
) -> None:
    rule = {"start_minute": 0, "end_minute": 1440, "slot_interval_minutes": 5}
    practice = await a_practice(database, rule=rule, duration_minutes=5)
    await block(database, practice, in_days(0, 0), in_days(12, 22))

    starts = await found(api, practice, "next", limit=100)
    more = await found(api, practice, "next", limit=100, after=starts[-1])
    many = [*starts, *more]

    assert many == [in_days(12, 22) + n * 5 * MINUTE for n in range(200)]


async def test_the_next_starts_of_all_places_are_in_order(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database, staff=2)
    async with database.orm_transaction() as db:
        for name in ("A", "B"):
            await add_location(db, practice.provider_id, NewLocation(name=name, timezone="UTC"))
        new = NewAppointmentType(slug="there", name="There", mode=Mode.IN_PERSON)
        service = await add_appointment_type(db, practice.provider_id, new)

    answer = await api.get(
        f"/v1/providers/{practice.provider_id}/availability/next",
        params={"serviceId": str(service.id), "after": instant_text(in_days(3, 8)), "limit": 5},
    )

    timeslots = answer.json()["timeslots"]
    assert [each["start"] for each in timeslots] == [
        instant_text(in_days(3, *time)) for time in [(9, 0), (9, 0), (9, 30), (9, 30), (10, 0)]
    ]
    assert len({each["locationId"] for each in timeslots}) == 2


async def test_a_timeslot_that_was_found_is_described_like_a_listed_one(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database, staff=2)

    one = (await ask(api, practice, "next", after=in_days(3, 8), limit=1)).json()
    listed = (await api.get(f"{practice.path()}&date={in_days(3):%Y-%m-%d}")).json()

    assert one["timeslots"] == listed["timeslots"][:1]
    assert {name: one[name] for name in ("providerId", "serviceId", "timezone", "sources")} == {
        name: listed[name] for name in ("providerId", "serviceId", "timezone", "sources")
    }


async def test_whoever_holds_one_of_two_places_sees_it(
    api: AsyncClient, database: Database, as_user: As
) -> None:
    practice, user = await a_practice(database, staff=2), uuid4()
    nine = in_days(3)
    await receive(database, a_booking(practice, nine, "held", user_id=user))
    path = f"{practice.path('/next')}&after={instant_text(nine - MINUTE)}&limit=2"

    mine = (await api.get(path, headers=as_user("patient", user))).json()
    theirs = (await api.get(path)).json()

    assert [each["heldByYou"] for each in mine["timeslots"]] == [True, False]
    assert [each["heldByYou"] for each in theirs["timeslots"]] == [False, False]


async def test_alternatives_are_nearest_first_and_then_later(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database)
    ten = in_days(3, 10)
    await receive(database, a_booking(practice, ten), a_booking(practice, ten + 60 * MINUTE))

    starts = await found(api, practice, "alternatives", start=ten, limit=7)

    near = [(3, 9, 30), (3, 10, 30), (3, 9, 0)]
    later = [(3, 11, 30), (4, 9, 0), (4, 9, 30), (4, 10, 0)]
    assert starts == [in_days(*time) for time in near + later]
    assert await found(api, practice, "alternatives", start=ten) == starts[:5]


async def test_rules_of_later_do_not_change_what_is_next(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database, weekdays=[])
    on = in_days(30)
    async with database.orm_transaction() as db:
        rule = a_rule(on.isoweekday(), effective_from=on.date(), effective_to=on.date())
        await add_rules(db, practice.provider_id, [rule])

    assert await found(api, practice, "next", limit=1) == [on]


@pytest.mark.parametrize(
    ("what", "wanted", "field", "code"),
    [
        ("next", {"limit": "0"}, "limit", None),
        ("next", {"limit": "101"}, "limit", None),
        ("next", {"after": "tomorrow"}, "after", None),
        ("next", {"before": "2026-01-01T00:00:00Z"}, "before", "UNKNOWN_FIELD"),
        ("alternatives", {}, "start", "REQUIRED"),
        ("alternatives", {"start": "2026-01-01T00:00:01Z"}, "start", "NOT_A_WHOLE_MINUTE"),
        ("alternatives", {"start": "2026-01-01T00:00:00Z", "limit": "21"}, "limit", None),
    ],
)
async def test_odd_questions_are_refused(
    api: AsyncClient,
    database: Database,
    what: str,
    wanted: dict[str, str],
    field: str,
    code: str | None,
) -> None:
    practice = await a_practice(database)

    answer = await ask(api, practice, what, **wanted)

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["path"]) == (422, field)
    assert code in (None, error["code"])


@pytest.mark.parametrize("what", ["next", "alternatives"])
async def test_what_is_not_offered_is_not_found(
    api: AsyncClient, database: Database, what: str
) -> None:
    practice = await a_practice(database)
    start = "2026-01-01T00:00:00Z"
    query = {"serviceId": str(uuid4())} | ({"start": start} if what == "alternatives" else {})

    path = f"/v1/providers/{practice.provider_id}/availability/{what}"
    service = await api.get(path, params=query)
    provider = await api.get(f"/v1/providers/{uuid4()}/availability/{what}", params=query)

    assert (service.status_code, service.json()["code"]) == (404, "service_not_found")
    assert (provider.status_code, provider.json()["code"]) == (404, "provider_not_found")
