"""When a provider has not enough to offer instead, others with the same service have."""

from typing import Any
from uuid import UUID, uuid4

from availability.domain.resources import Mode
from availability.use_cases.locations import NewRoom, change_location
from shared.db import Database
from shared.http import AsyncClient

from .builders import Practice, a_booking, a_practice, in_days, receive
from .test_check import As_, Desk

NINE = in_days(3)


async def one_at_nine(database: Database, *, city: str | None = None, **service: Any) -> Practice:
    """Free once in the week."""
    practice = await a_practice(
        database,
        rooms=[NewRoom(name="1")] if city else [],
        weekdays=[NINE.isoweekday()],
        rule={"end_minute": 570},
        **service,
    )
    if city:
        assert practice.location_id is not None
        async with database.orm_transaction() as db:
            await change_location(db, practice.provider_id, practice.location_id, {"city": city})
    return practice


async def instead(api: AsyncClient, practice: Practice, limit: int = 5) -> list[UUID]:
    answer = await api.get(
        practice.path("/alternatives"),
        params={
            "serviceId": str(practice.service_id),
            "start": f"{NINE:%Y-%m-%dT%H:%M:%SZ}",
            "limit": limit,
        },
    )
    assert answer.status_code == 200, answer.text
    timeslots = answer.json()["timeslots"]
    assert all(UUID(each["serviceId"]) for each in timeslots)
    return [UUID(each["providerId"]) for each in timeslots]


async def test_others_follow_the_provider_and_only_when_there_is_room(
    api: AsyncClient, database: Database
) -> None:
    mine, other = [await one_at_nine(database) for _ in range(2)]

    assert await instead(api, mine) == [mine.provider_id, other.provider_id]
    assert await instead(api, mine, limit=1) == [mine.provider_id]


async def test_another_service_or_mode_is_nothing_instead(
    api: AsyncClient, database: Database
) -> None:
    mine = await one_at_nine(database)
    await one_at_nine(database, slug="surgery")
    await one_at_nine(database, mode=Mode.VIDEO)

    assert await instead(api, mine) == [mine.provider_id]


async def test_another_city_is_nothing_instead(api: AsyncClient, database: Database) -> None:
    mine = await one_at_nine(database, city="Athens")
    near = await one_at_nine(database, city="athens")
    await one_at_nine(database, city="Patras")

    assert await instead(api, mine) == [mine.provider_id, near.provider_id]


async def test_a_refusal_names_others_and_an_offer_does_not(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    mine, other = [await one_at_nine(database) for _ in range(2)]
    desk = Desk(api, as_reservations)

    offered = await desk.check(mine, NINE)
    await receive(database, a_booking(mine, NINE))
    refused = await desk.check(mine, NINE, uuid4())

    assert (offered["offered"], offered["alternatives"]) == (True, [])
    assert refused["reason"] == "claimed"
    assert [
        (each["providerId"], each["serviceId"], each["id"]) for each in refused["alternatives"]
    ] == [(str(other.provider_id), str(other.service_id), other.timeslot_id(NINE))]
