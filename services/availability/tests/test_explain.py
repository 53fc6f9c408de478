"""Why is this instant not offered?"""

from datetime import timedelta
from uuid import uuid4

from availability.domain.schedule import ExceptionKind
from availability.use_cases.exceptions import NewException, add_exception
from shared.db import Database
from shared.http import AsyncClient

from .builders import MINUTE, a_booking, a_practice, in_days, receive
from .conftest import As


async def test_staff_see_what_is_in_the_way_and_patients_only_that_something_is(
    api: AsyncClient, database: Database, as_user: As
) -> None:
    practice = await a_practice(database, buffer_after_minutes=15)
    nine = in_days(3)
    booked = a_booking(practice, nine)
    await receive(database, booked)
    path = f"{practice.path('/explain')}&at={nine + 30 * MINUTE:%Y-%m-%dT%H:%M:%SZ}"

    as_patient = await api.get(path)
    as_stranger = await api.get(path, headers=as_user("provider", uuid4()))
    as_provider = await api.get(path, headers=as_user("provider", practice.provider_id))
    as_admin = await api.get(path, headers=as_user("admin", uuid4()))

    (place,) = as_provider.json()["places"]
    assert place == {
        "locationId": None,
        "mode": "phone",
        "offered": False,
        "reasons": [{"reason": "buffer", "ids": [str(booked.id)]}],
    }
    assert as_admin.json() == as_provider.json()
    for answer in (as_patient, as_stranger):
        assert answer.json()["places"][0]["reasons"] == [{"reason": "buffer", "ids": []}]


async def test_all_reasons_are_told(api: AsyncClient, database: Database, as_user: As) -> None:
    practice = await a_practice(database, min_notice_minutes=7 * 24 * 60)
    nine = in_days(3)
    async with database.orm_transaction() as db:
        new = NewException(
            kind=ExceptionKind.BLOCKED, starts_at=nine, ends_at=nine + timedelta(hours=1)
        )
        blocked = await add_exception(db, practice.provider_id, new)
    await receive(database, a_booking(practice, nine))

    answer = await api.get(
        f"{practice.path('/explain')}&at={nine:%Y-%m-%dT%H:%M:%SZ}",
        headers=as_user("admin", uuid4()),
    )

    found = {each["reason"]: each["ids"] for each in answer.json()["places"][0]["reasons"]}
    assert set(found) == {"exception", "claimed", "min_notice"}
    assert found["exception"] == [str(blocked.id)]


async def test_nothing_stands_in_the_way_of_what_is_offered(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database)

    for hour, offered in ((9, True), (12, False)):
        at = in_days(3, hour)
        answer = await api.get(f"{practice.path('/explain')}&at={at:%Y-%m-%dT%H:%M:%SZ}")
        (place,) = answer.json()["places"]
        assert (place["offered"], place["reasons"] == []) == (offered, offered)


async def test_odd_instants(api: AsyncClient, database: Database) -> None:
    practice = await a_practice(database)

    for at in ("1970-01-01T00:00:00Z", "2199-12-31T23:59:00Z"):
        answer = await api.get(f"{practice.path('/explain')}&at={at}")
        assert answer.json()["places"][0]["offered"] is False
    for at, code in (
        ("2030-01-01T00:00:01Z", "NOT_A_WHOLE_MINUTE"),
        ("2030-01-01T00:00:00.001Z", "NOT_A_WHOLE_MINUTE"),
        ("2030-01-01T00:00", "NOT_AN_INSTANT"),
        ("9999-12-31T23:59:00Z", "YEAR_OUT_OF_RANGE"),
    ):
        answer = await api.get(f"{practice.path('/explain')}&at={at}")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["code"] == code
    answer = await api.get(
        f"/v1/providers/{uuid4()}/availability/explain?serviceId={uuid4()}&at={at}"
    )
    assert answer.status_code == 422
    at = "2030-01-01T00:00:00Z"
    answer = await api.get(
        f"/v1/providers/{uuid4()}/availability/explain?serviceId={uuid4()}&at={at}"
    )
    assert answer.json()["code"] == "provider_not_found"
