"""The question before every hold: is this timeslot offered, and what is instead?"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from availability.domain.resources import Mode
from availability.domain.schedule import ExceptionKind
from availability.domain.timeslot_id import timeslot_id
from availability.schemas.timeslots import CheckOut
from availability.use_cases.appointment_types import change_appointment_type
from availability.use_cases.exceptions import NewException, add_exception
from availability.use_cases.locations import NewLocation, NewRoom, add_location
from availability.use_cases.providers import change_provider
from shared.db import Database
from shared.http import AsyncClient, Response

from .builders import DAY, MINUTE, Practice, a_booking, a_practice, in_days, later, receive
from .conftest import As

As_ = dict[str, str]


class Desk:
    """Asks as reservations does."""

    def __init__(self, api: AsyncClient, headers: dict[str, str]) -> None:
        self._api = api
        self._headers = headers

    async def post(self, body: dict[str, Any]) -> Response:
        return await self._api.post("/internal/timeslots/check", json=body, headers=self._headers)

    async def check(
        self, practice: Practice, start: datetime, user: UUID | None = None, **changes: str
    ) -> Any:
        answer = await self.post(a_question(practice, start, user) | changes)
        assert answer.status_code == 200, answer.text
        CheckOut.model_validate_json(answer.content)
        return answer.json()


def a_question(practice: Practice, start: datetime, user: UUID | None = None) -> dict[str, str]:
    return {
        "providerId": str(practice.provider_id),
        "serviceId": str(practice.service_id),
        "timeslotId": practice.timeslot_id(start),
        "userId": str(user or uuid4()),
    }


def times(answer: Any) -> list[str]:
    return [slot["start"][:16] for slot in answer["alternatives"]]


async def test_a_free_timeslot_is_offered_with_its_neighbours(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    desk, ten = Desk(api, as_reservations), in_days(3, 10)

    answer = await desk.check(practice, ten)

    day = f"{ten:%Y-%m-%d}"
    assert (answer["offered"], answer["reason"]) == (True, None)
    assert answer["timeslot"] == {
        "id": practice.timeslot_id(ten),
        "start": f"{day}T10:00:00.000Z",
        "end": f"{day}T10:30:00.000Z",
        "locationId": str(practice.location_id),
        "roomId": str(practice.room_ids[0]),
        "mode": "in_person",
    }
    # The nearest first; within the hour before and after come no more than four.
    hours = ["09:30", "10:30", "09:00", "11:00", "11:30"]
    assert times(answer) == [f"{day}T{hour}" for hour in hours]


async def test_what_is_taken_is_not_offered_and_never_its_own_alternative(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    practice = await a_practice(database)
    desk, ten = Desk(api, as_reservations), in_days(3, 10)
    for status in ("held", "confirmed"):
        taken = a_booking(practice, ten, status)
        await receive(database, taken)

        answer = await desk.check(practice, ten)

        assert (answer["offered"], answer["reason"]) == (False, "claimed")
        assert answer["timeslot"] is None
        assert len(answer["alternatives"]) == 5
        assert practice.timeslot_id(ten) not in [slot["id"] for slot in answer["alternatives"]]
        await receive(database, later(taken, practice, "cancelled"))
        assert (await desk.check(practice, ten))["offered"] is True


async def test_alternatives_go_on_over_the_following_days(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    practice = await a_practice(database, rule={"start_minute": 600, "end_minute": 660})
    desk, ten = Desk(api, as_reservations), in_days(3, 10)
    await receive(database, a_booking(practice, ten), a_booking(practice, ten + DAY + 30 * MINUTE))

    answer = await desk.check(practice, ten)

    assert times(answer) == [
        f"{ten + 30 * MINUTE:%Y-%m-%dT%H:%M}",
        f"{ten + DAY:%Y-%m-%dT%H:%M}",
        f"{ten + 2 * DAY:%Y-%m-%dT%H:%M}",
        f"{ten + 2 * DAY + 30 * MINUTE:%Y-%m-%dT%H:%M}",
        f"{ten + 3 * DAY:%Y-%m-%dT%H:%M}",
    ]


async def test_alternatives_end_after_a_week(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    weekday = in_days(3).isoweekday()
    practice = await a_practice(database, weekdays=[weekday], rule={"end_minute": 570})
    desk, nine = Desk(api, as_reservations), in_days(3)

    answer = await desk.check(practice, nine)

    assert (answer["offered"], answer["alternatives"]) == (True, [])


async def test_the_same_time_elsewhere_is_the_nearest(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    async with database.orm_transaction() as db:
        new = NewLocation(name="B", timezone="UTC")
        other = await add_location(db, practice.provider_id, new)
    desk, ten = Desk(api, as_reservations), in_days(3, 10)

    found = (await desk.check(practice, ten))["alternatives"]

    assert (found[0]["start"][11:16], found[0]["locationId"]) == ("10:00", str(other.id))
    at = [slot["locationId"] for slot in found[1:3]]
    assert [slot["start"][11:16] for slot in found[1:3]] == ["09:30", "09:30"]
    assert at == [str(practice.location_id), str(other.id)]


async def test_what_one_holds_is_offered_to_oneself_and_to_nobody_else(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    practice = await a_practice(database)
    desk, ten = Desk(api, as_reservations), in_days(3, 10)
    held = a_booking(practice, ten, "held")
    await receive(database, held)

    own = await desk.check(practice, ten, held.user_id)
    theirs = await desk.check(practice, ten)
    # Half an hour later is another timeslot: there one's own hold is in the way like any other.
    beside = await desk.check(practice, ten + 30 * MINUTE, held.user_id)

    assert (own["offered"], own["timeslot"]["id"]) == (True, practice.timeslot_id(ten))
    assert (theirs["offered"], theirs["reason"]) == (False, "claimed")
    assert practice.timeslot_id(ten) not in [slot["id"] for slot in beside["alternatives"]]
    await receive(database, later(held, practice, "confirmed"))
    assert (await desk.check(practice, ten, held.user_id))["offered"] is False


async def test_ones_own_hold_of_an_overlapping_timeslot_is_in_the_way(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    practice = await a_practice(database, rule={"slot_interval_minutes": 15})
    desk, ten = Desk(api, as_reservations), in_days(3, 10)
    held = a_booking(practice, ten, "held")
    await receive(database, held)

    answer = await desk.check(practice, ten + 15 * MINUTE, held.user_id)

    assert (answer["offered"], answer["reason"]) == (False, "claimed")


async def test_a_hold_beside_somebody_elses_appointment_is_still_ones_own(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    practice = await a_practice(database, staff=2)
    desk, ten = Desk(api, as_reservations), in_days(3, 10)
    held = a_booking(practice, ten, "held", units=practice.unit_ids[:1])
    await receive(database, held, a_booking(practice, ten, units=practice.unit_ids[1:]))

    assert (await desk.check(practice, ten, held.user_id))["offered"] is True
    assert (await desk.check(practice, ten))["offered"] is False


async def test_an_expired_hold_is_offered_to_everybody(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    practice = await a_practice(database)
    desk, ten = Desk(api, as_reservations), in_days(3, 10)
    await receive(database, a_booking(practice, ten, "held"))
    assert (await desk.check(practice, ten))["offered"] is False

    async with database.transaction() as db:
        await db.execute("UPDATE claims SET hold_expires_at = now() - interval '1 ms'")

    assert (await desk.check(practice, ten))["offered"] is True


async def test_the_reason_is_told(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    practice = await a_practice(database, min_notice_minutes=24 * 60, max_future_days=20)
    desk = Desk(api, as_reservations)
    blocked = in_days(4, 10)
    async with database.orm_transaction() as db:
        new = NewException(
            kind=ExceptionKind.BLOCKED, starts_at=blocked, ends_at=blocked + timedelta(hours=1)
        )
        await add_exception(db, practice.provider_id, new)

    async def reason(start: datetime) -> str:
        answer = await desk.check(practice, start)
        assert answer["timeslot"] is None
        assert answer["offered"] is False
        return str(answer["reason"])

    assert await reason(in_days(-3)) == "min_notice"
    assert await reason(in_days(0)) == "min_notice"
    assert await reason(in_days(22)) == "max_future"
    assert await reason(in_days(3, 13)) == "outside_rules"
    assert await reason(in_days(3, 9, 10)) == "outside_rules"
    assert await reason(in_days(3, 11, 45)) == "outside_rules"
    assert await reason(blocked) == "exception"
    async with database.orm_transaction() as db:
        changes = {"required_equipment": ["laser"]}
        await change_appointment_type(db, practice.provider_id, practice.service_id, changes)
    assert await reason(in_days(3)) == "no_resource"


async def test_a_place_where_it_is_given_no_more_is_not_offered(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    practice = await a_practice(database)
    desk, nine = Desk(api, as_reservations), in_days(3)
    minute = int(nine.timestamp()) // 60
    elsewhere = timeslot_id(practice.provider_id, practice.service_id, uuid4(), Mode.PHONE, minute)
    otherwise = timeslot_id(practice.provider_id, practice.service_id, None, Mode.VIDEO, minute)

    for id_ in (elsewhere, otherwise):
        answer = await desk.check(practice, nine, timeslotId=id_)
        assert (answer["offered"], answer["reason"]) == (False, "outside_rules")
        assert times(answer)[0] == f"{nine:%Y-%m-%dT%H:%M}"


async def test_the_ends_of_time_are_just_not_offered(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    practice = await a_practice(database)
    desk = Desk(api, as_reservations)
    last = (datetime(9998, 12, 31) - datetime(1970, 1, 1)).days * 1440  # noqa: DTZ001

    for minute, reason in ((0, "min_notice"), (last, "max_future")):
        id_ = timeslot_id(practice.provider_id, practice.service_id, None, practice.mode, minute)
        answer = await desk.check(practice, in_days(3), timeslotId=id_)
        assert (answer["offered"], answer["reason"]) == (False, reason)
        assert answer["alternatives"] == []


async def test_ids_of_others_and_ids_of_nothing_are_not_found(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    practice, other = await a_practice(database), await a_practice(database)
    desk, nine = Desk(api, as_reservations), in_days(3)
    good = a_question(practice, nine)
    own = good["timeslotId"]

    async def code(**changes: str) -> tuple[int, str]:
        answer = await desk.post(good | changes)
        return answer.status_code, answer.json().get("code")

    for id_ in (
        other.timeslot_id(nine),
        "nonsense",
        own[:-1],
        own + "A",
        own[:-1] + "!",
        "A" * 40,
        "ä" * 40,
        "../" * 13 + "x",
    ):
        assert await code(timeslotId=id_) == (404, "timeslot_not_found"), id_
    assert await code(serviceId=str(other.service_id)) == (404, "timeslot_not_found")
    stranger = str(uuid4())
    named = timeslot_id(UUID(stranger), practice.service_id, None, Mode.PHONE, 1)
    assert await code(providerId=stranger, timeslotId=named) == (404, "provider_not_found")
    named = timeslot_id(practice.provider_id, UUID(stranger), None, Mode.PHONE, 1)
    assert await code(serviceId=stranger, timeslotId=named) == (404, "service_not_found")
    async with database.orm_transaction() as db:
        await change_provider(db, practice.provider_id, {"is_active": False})
    assert await code() == (404, "provider_not_found")


async def test_a_malformed_question_is_refused(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    practice = await a_practice(database)
    desk = Desk(api, as_reservations)
    good = a_question(practice, in_days(3))

    for changes, path in (
        ({"timeslotId": "x" * 101}, "timeslotId"),
        ({"timeslotId": 7}, "timeslotId"),
        ({"timeslotId": None}, "timeslotId"),
        ({"timeslotId": "a\u200bb"}, "timeslotId"),
        ({"userId": "me"}, "userId"),
        ({"status": "available"}, "status"),
    ):
        answer = await desk.post(good | changes)
        assert answer.status_code == 422, changes
        assert path in [each["path"] for each in answer.json()["errors"]]
    assert (await desk.post({})).status_code == 422


async def test_only_services_may_ask(api: AsyncClient, database: Database, as_user: As) -> None:
    practice = await a_practice(database)

    for role in ("patient", "provider", "admin", "service"):
        desk = Desk(api, as_user(role, uuid4()))
        answer = await desk.post(a_question(practice, in_days(3)))
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
