"""The earliest timeslots of several providers, shared out fairly."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from availability.domain.resources import Mode
from availability.domain.schedule import ExceptionKind
from availability.schemas.finding import SearchOut
from availability.use_cases.appointment_types import NewAppointmentType, add_appointment_type
from availability.use_cases.exceptions import NewException, add_exception
from availability.use_cases.locations import NewLocation, add_location
from availability.use_cases.providers import change_provider
from shared.db import Database
from shared.fields import instant_text
from shared.http import AsyncClient

from .builders import DAY, MINUTE, Practice, a_booking, a_practice, in_days, receive

PATH = "/v1/availability/search"


async def search(
    api: AsyncClient, practices: Sequence[Practice] = (), **wanted: Any
) -> dict[str, Any]:
    """From midnight of the third day, unless told otherwise."""
    body = {"from": in_days(3, 0)} | wanted
    if practices:
        body["providerIds"] = [str(practice.provider_id) for practice in practices]
    for name in ("from", "to"):
        if isinstance(body.get(name), datetime):
            body[name] = instant_text(body[name])
    answer = await api.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    SearchOut.model_validate_json(answer.content)
    page: dict[str, Any] = answer.json()
    return page


def seen(page: dict[str, Any]) -> list[tuple[UUID, datetime]]:
    return [
        (UUID(each["providerId"]), datetime.fromisoformat(each["start"]))
        for each in page["timeslots"]
    ]


async def opening_at(database: Database, hour: int, **more: Any) -> Practice:
    rule = {"start_minute": hour * 60, "end_minute": hour * 60 + 180}
    return await a_practice(database, rule=rule, **more)


async def test_the_earliest_come_first(api: AsyncClient, database: Database) -> None:
    late, early, middle = [await opening_at(database, hour) for hour in (15, 8, 11)]

    page = await search(api, [late, early, middle], limit=3)

    assert seen(page) == [
        (early.provider_id, in_days(3, 8)),
        (middle.provider_id, in_days(3, 11)),
        (late.provider_id, in_days(3, 15)),
    ]
    assert [each["providerId"] for each in page["providers"]] == [
        str(practice.provider_id) for practice in (early, middle, late)
    ]
    assert page["isComplete"] is True


async def test_there_is_room_for_those_who_are_earliest(
    api: AsyncClient, database: Database
) -> None:
    practices = [await opening_at(database, hour) for hour in (15, 8, 11)]

    page = await search(api, practices, limit=2)

    assert [start for _, start in seen(page)] == [in_days(3, 8), in_days(3, 11)]


async def test_nobody_fills_the_page_alone(api: AsyncClient, database: Database) -> None:
    early, late = await opening_at(database, 8), await opening_at(database, 15)
    next_day = await opening_at(database, 8)
    await receive(
        database, *(a_booking(next_day, in_days(3, 8) + n * 30 * MINUTE) for n in range(6))
    )

    page = await search(api, [early, late, next_day], limit=6)

    assert seen(page) == [
        (early.provider_id, in_days(3, 8)),
        (early.provider_id, in_days(3, 8, 30)),
        (late.provider_id, in_days(3, 15)),
        (late.provider_id, in_days(3, 15, 30)),
        (next_day.provider_id, in_days(4, 8)),
        (next_day.provider_id, in_days(4, 8, 30)),
    ]


async def test_who_has_little_time_leaves_room_for_the_others(
    api: AsyncClient, database: Database
) -> None:
    one, other = await opening_at(database, 8), await opening_at(database, 8, max_future_days=1)

    page = await search(api, [one, other], limit=4)

    assert seen(page) == [(one.provider_id, in_days(3, 8) + n * 30 * MINUTE) for n in range(4)]


async def test_equal_starts_are_taken_in_turns(api: AsyncClient, database: Database) -> None:
    practices = [await opening_at(database, 8) for _ in range(4)]

    page = seen(await search(api, practices, limit=100))
    again = seen(await search(api, practices[::-1], limit=100))

    everybody = {practice.provider_id for practice in practices}
    rounds = [page[n : n + 4] for n in range(0, 100, 4)]
    assert all({provider for provider, _ in round_} == everybody for round_ in rounds)
    assert len({round_[0][0] for round_ in rounds}) > 1
    assert page == again


async def test_a_later_day_is_looked_at_when_the_first_has_too_little(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database, weekdays=[in_days(13).isoweekday()])

    page = await search(api, [practice], limit=100, to=in_days(3 + 62, 0))

    starts = [start for _, start in seen(page)]
    weeks = range(3 + (13 - 3) % 7, 3 + 62, 7)
    assert starts == [in_days(n, 9) + m * 30 * MINUTE for n in weeks for m in range(6)]


async def test_the_span_is_kept(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)
    span = {"from": in_days(3, 9, 30), "to": in_days(3, 10, 30)}

    page = await search(api, [practice], **span)
    usual = await search(api, [practice], limit=100)

    assert [start for _, start in seen(page)] == [in_days(3, 9, 30), in_days(3, 10)]
    assert max(start for _, start in seen(usual)) < in_days(17, 0)


async def test_all_filters_must_be_met(api: AsyncClient, database: Database) -> None:
    # A slug of its own, because other tests' providers are in other databases but ours are many.
    wanted = await a_practice(database, slug="skin", mode=Mode.VIDEO)
    other_mode = await a_practice(database, slug="skin")
    other_service = await a_practice(database, slug="eyes", mode=Mode.VIDEO)
    other_language = await a_practice(database, slug="skin", mode=Mode.VIDEO)
    async with database.orm_transaction() as db:
        for practice in (wanted, other_mode, other_service):
            await change_provider(db, practice.provider_id, {"language": "el-CY"})
    everybody = [wanted, other_mode, other_service, other_language]

    async def providers(**filters: str) -> set[UUID]:
        return {provider for provider, _ in seen(await search(api, filters=filters))}

    ids = [practice.provider_id for practice in everybody]
    assert await providers(service="skin", mode="video", language="el") == {wanted.provider_id}
    assert await providers(language="el-CY") == set(ids[:3])
    assert await providers(mode="video") == {ids[0], ids[2], ids[3]}
    assert await providers() == set(ids)
    both = await search(api, [other_mode, wanted], filters={"mode": "video"})
    assert {provider for provider, _ in seen(both)} == {wanted.provider_id}


async def test_a_city_is_where_the_appointment_is(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database, staff=3)
    elsewhere = await a_practice(database)
    async with database.orm_transaction() as db:
        places = [
            await add_location(
                db, practice.provider_id, NewLocation(name=city, city=city, timezone="UTC")
            )
            for city in ("Athens", "Patras")
        ]
        new = NewAppointmentType(slug="there", name="There", mode=Mode.IN_PERSON)
        service = await add_appointment_type(db, practice.provider_id, new)

    page = await search(api, filters={"city": "athens"}, limit=100, to=in_days(4, 0))

    services = {(each["serviceId"], each["locationId"]) for each in page["timeslots"]}
    assert services == {
        (str(service.id), str(places[0].id)),
        (str(practice.service_id), None),
    }
    assert {each["serviceTitle"] for each in page["timeslots"]} == {"There", "Visit"}
    assert str(elsewhere.provider_id) not in {each["providerId"] for each in page["timeslots"]}


async def test_who_is_not_in_use_is_not_found(api: AsyncClient, database: Database) -> None:
    practice, closed = await a_practice(database), await a_practice(database)
    async with database.orm_transaction() as db:
        await change_provider(db, closed.provider_id, {"is_active": False})

    page = await search(api, [practice, closed], limit=2)
    nobody = await api.post(PATH, json={"providerIds": [str(uuid4())]})

    assert {provider for provider, _ in seen(page)} == {practice.provider_id}
    assert nobody.json() == {"timeslots": [], "providers": [], "isComplete": True}


async def test_two_hundred_providers_are_searched_at_once(
    api: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    practices = [await opening_at(database, 8 + n % 3) for n in range(9)]
    monkeypatch.setattr("availability.use_cases.finding.MOST_SERVICES", 5)

    page = await search(api, practices, limit=100, to=in_days(4, 0))

    assert len(page["providers"]) == 5
    assert page["isComplete"] is False


async def test_the_same_key_gets_the_same_page(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)
    body = {"providerIds": [str(practice.provider_id)], "limit": 1}
    key = {"Idempotency-Key": str(uuid4())}

    first = await api.post(PATH, json=body, headers=key)
    start = datetime.fromisoformat(first.json()["timeslots"][0]["start"])
    await receive(database, a_booking(practice, start))
    second = await api.post(PATH, json=body, headers=key)

    assert second.content == first.content
    assert second.headers["idempotent-replayed"] == "true"


NOW = in_days(1)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {("", "REQUIRED")}),
        ({"providerIds": []}, {("providerIds", "TOO_FEW")}),
        ({"providerIds": ["x"]}, {("providerIds.0", "NOT_AN_ID")}),
        ({"providerIds": [str(uuid4())] * 201}, {("providerIds", "TOO_MANY")}),
        (
            {"from": instant_text(NOW), "to": instant_text(NOW)},
            {("", "REQUIRED"), ("to", "END_BEFORE_START")},
        ),
        (
            {
                "filters": {},
                "from": instant_text(NOW),
                "to": instant_text(NOW + 62 * DAY + timedelta(seconds=1)),
            },
            {("to", "RANGE_TOO_LONG")},
        ),
        ({"filters": {}, "to": "1999-01-01T00:00:00Z"}, {("to", "END_BEFORE_START")}),
        ({"filters": {}, "from": "2199-12-31T00:00:00Z"}, set()),
        ({"filters": {"mode": "smoke"}}, {("filters.mode", "NOT_ALLOWED")}),
        ({"filters": {"specialty": "skin"}}, {("filters.specialty", "UNKNOWN_FIELD")}),
        ({"filters": {"city": ""}, "limit": 0}, {("filters.city", ""), ("limit", "")}),
    ],
)
async def test_odd_searches_are_refused(
    api: AsyncClient, body: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    answer = await api.post(PATH, json=body)

    errors = {(each["path"], each["code"]) for each in answer.json().get("errors", ())}
    assert answer.status_code == (422 if expected else 200), answer.text
    assert {path for path, _ in errors} == {path for path, _ in expected}
    assert {each for each in expected if each[1]} <= errors


async def test_a_small_page_is_the_beginning_of_what_all_of_them_have(
    api: AsyncClient, database: Database
) -> None:
    """Most of them need not be looked at for it; that must not show."""
    crowd = [await opening_at(database, 8 + n % 2, staff=1 + n % 2) for n in range(4)]
    crowd += [await opening_at(database, 8, buffer_before_minutes=n * 5) for n in range(1, 4)]
    blocked, opened = crowd[0], await opening_at(database, 15)
    async with database.orm_transaction() as db:
        for practice, kind, start in (
            (blocked, ExceptionKind.BLOCKED, in_days(3, 8)),
            (opened, ExceptionKind.AVAILABLE, in_days(3, 6)),
        ):
            new = NewException(kind=kind, starts_at=start, ends_at=start + 5 * MINUTE * 7)
            await add_exception(db, practice.provider_id, new)
    await receive(database, *(a_booking(practice, in_days(3, 8)) for practice in crowd[1:6:2]))
    crowd.append(opened)
    firsts = {}
    for practice in crowd:
        listed = await api.get(f"{practice.path()}&date={in_days(3):%Y-%m-%d}")
        firsts[practice.provider_id] = min(
            datetime.fromisoformat(each["start"])
            for each in listed.json()["timeslots"]
            if each["capacityLeft"]
        )

    pages = {n: seen(await search(api, crowd, limit=n)) for n in range(1, len(crowd) + 1)}

    assert set(pages[len(crowd)]) == set(firsts.items())
    assert len(set(firsts.values())) > 3
    for n, page in pages.items():
        assert page == pages[len(crowd)][:n]
