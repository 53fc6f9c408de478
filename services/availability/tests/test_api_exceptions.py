"""Exceptions over HTTP: stored, listed, changed, removed, and refused by field."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from availability.use_cases.locations import NewRoom
from shared.db import Database
from shared.fields import instant_text
from shared.http import AsyncClient, Response

from .builders import Practice, a_practice, in_days
from .conftest import As

HOUR = timedelta(hours=1)
START, END = in_days(3, 10), in_days(3, 11)


def an_exception(**changes: Any) -> dict[str, Any]:
    return {"kind": "blocked", "start": instant_text(START), "end": instant_text(END)} | changes


def path_of(practice: Practice) -> str:
    return f"/v1/providers/{practice.provider_id}/exceptions"


def codes(answer: Response) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(each["path"], each["code"]) for each in answer.json()["errors"]]


async def starts(api: AsyncClient, practice: Practice) -> list[str]:
    """What is offered on the day of START; open from 9 to 12, every half hour."""
    listed = await api.get(f"{practice.path()}&date={START:%Y-%m-%d}")
    return [each["start"][11:16] for each in listed.json()["timeslots"]]


async def count(database: Database) -> int:
    async with database.reading() as db:
        found: int = await db.fetchval("SELECT count(*) FROM availability_exceptions")
        return found


async def test_a_blocked_exception_closes_its_time_until_it_is_changed_or_removed(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database)
    path, own = path_of(practice), as_user("provider", practice.provider_id)

    made = await api.post(path, json=an_exception(reason="Congress"), headers=own)
    one = made.headers["location"]
    assert made.status_code == 201
    assert made.json() == made.json() | an_exception(
        reason="Congress", source="manual", appointmentTypeId=None, locationId=None, roomId=None
    )
    assert one == f"{path}/{made.json()['id']}"
    assert (await api.get(one, headers=own)).json() == made.json()
    assert await starts(api, practice) == ["09:00", "09:30", "11:00", "11:30"]

    changed = await api.patch(
        one, json={"end": instant_text(END + HOUR), "reason": None}, headers=own
    )
    assert changed.json()["reason"] is None
    assert await starts(api, practice) == ["09:00", "09:30"]

    assert (await api.delete(one, headers=own)).status_code == 204
    assert await starts(api, practice) == [
        f"{hour:02}:{minute}" for hour in (9, 10, 11) for minute in ("00", "30")
    ]
    assert (await api.get(one, headers=own)).status_code == 404
    assert (await api.delete(one, headers=own)).status_code == 404


async def test_an_available_exception_opens_its_time(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, weekdays=())

    await api.post(
        path_of(practice),
        json=an_exception(kind="available"),
        headers=as_user("admin", uuid4()),
    )

    assert await starts(api, practice) == ["10:00", "10:15", "10:30"]


async def test_an_exception_may_be_about_one_room_only(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    own = as_user("provider", practice.provider_id)
    scope = {
        "appointmentTypeId": str(practice.service_id),
        "locationId": str(practice.location_id),
        "roomId": str(practice.room_ids[0]),
    }

    made = await api.post(path_of(practice), json=an_exception(**scope), headers=own)

    assert made.json() == made.json() | scope
    assert "10:00" not in await starts(api, practice)
    wider = await api.patch(
        made.headers["location"],
        json={"appointmentTypeId": None, "roomId": None, "locationId": None},
        headers=own,
    )
    assert wider.json()["roomId"] is wider.json()["locationId"] is None


async def test_the_list_goes_by_the_beginning_a_page_at_a_time(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database)
    path, own = path_of(practice), as_user("provider", practice.provider_id)
    made = []
    for number in (3, 0, 2, 1):
        body = an_exception(
            start=instant_text(START + number * HOUR), end=instant_text(END + number * HOUR)
        )
        made.append((number, (await api.post(path, json=body, headers=own)).json()["id"]))
    in_order = [id_ for _, id_ in sorted(made)]

    async def listed(query: str) -> list[str]:
        answer = await api.get(f"{path}?{query}", headers=own)
        return [each["id"] for each in answer.json()["items"]]

    first = (await api.get(f"{path}?limit=3", headers=own)).json()
    second = (await api.get(f"{path}?limit=3&cursor={first['nextCursor']}", headers=own)).json()
    assert [each["id"] for each in first["items"] + second["items"]] == in_order
    assert second["nextCursor"] is None
    since, until = instant_text(START + HOUR), instant_text(START + 2 * HOUR)
    assert await listed(f"from={since}&to={until}") == in_order[1:2]
    assert await listed(f"from={since}") == in_order[1:]
    assert await listed(f"to={until}") == in_order[:2]
    assert codes(await api.get(f"{path}?from={until}&to={since}", headers=own)) == [
        ("to", "END_BEFORE_START")
    ]
    assert (await api.get(f"{path}?cursor=AAAA", headers=own)).status_code == 400


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"end": instant_text(START)}, "end", "END_BEFORE_START"),
        ({"end": instant_text(START - HOUR)}, "end", "END_BEFORE_START"),
        ({"end": instant_text(START + timedelta(days=367))}, "end", "RANGE_TOO_LONG"),
        ({"end": "9999-12-31T23:59:59Z"}, "end", "YEAR_OUT_OF_RANGE"),
        ({"start": "2031-03-30T03:30:00"}, "start", "NOT_AN_INSTANT"),
        ({"start": "2031-02-30T03:30:00Z"}, "start", "NO_SUCH_INSTANT"),
        ({"start": 1_900_000_000}, "start", "NOT_AN_INSTANT"),
        ({"kind": "open"}, "kind", "NOT_ALLOWED"),
        ({"kind": None}, "kind", "NOT_ALLOWED"),
        ({"reason": "a\nb"}, "reason", "FORBIDDEN_CHARACTER"),
        ({"reason": "x" * 201}, "reason", "TOO_LONG"),
        ({"source": "time_off"}, "source", "UNKNOWN_FIELD"),
        ({"roomId": "1"}, "roomId", "NOT_AN_ID"),
    ],
)
async def test_bad_input_is_refused_by_its_field(
    api: AsyncClient,
    as_user: As,
    database: Database,
    changes: dict[str, Any],
    path: str,
    code: str,
) -> None:
    practice = await a_practice(database, weekdays=())
    own = as_user("provider", practice.provider_id)
    good = await api.post(path_of(practice), json=an_exception(), headers=own)

    answers = [
        await api.post(path_of(practice), json=an_exception(**changes), headers=own),
        await api.patch(good.headers["location"], json=changes, headers=own),
    ]

    for answer in answers:
        assert (path, code) in codes(answer)
    assert (await api.get(good.headers["location"], headers=own)).json() == good.json()
    assert await count(database) == 1


async def test_ids_of_others_and_a_room_elsewhere_are_refused(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    other = await a_practice(database, rooms=[NewRoom(name="1")])
    own = as_user("provider", practice.provider_id)
    foreign = {
        "appointmentTypeId": str(other.service_id),
        "locationId": str(other.location_id),
        "roomId": str(other.room_ids[0]),
    }

    refused = await api.post(
        path_of(practice), json=an_exception(end=instant_text(START), **foreign), headers=own
    )

    assert codes(refused) == [
        ("end", "END_BEFORE_START"),
        ("appointmentTypeId", "UNKNOWN_APPOINTMENT_TYPE"),
        ("locationId", "UNKNOWN_LOCATION"),
        ("roomId", "UNKNOWN_ROOM"),
    ]
    second = await api.post(
        f"/v1/providers/{practice.provider_id}/locations",
        json={"name": "B", "timezone": "UTC"},
        headers=own,
    )
    elsewhere = {"locationId": second.json()["id"], "roomId": str(practice.room_ids[0])}
    answer = await api.post(path_of(practice), json=an_exception(**elsewhere), headers=own)
    assert codes(answer) == [("roomId", "OTHER_LOCATION")]
    assert await count(database) == 0


async def test_exceptions_of_others_do_not_exist(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database)
    other = await a_practice(database)
    own, stranger = (as_user("provider", each.provider_id) for each in (practice, other))
    made = await api.post(path_of(practice), json=an_exception(), headers=own)
    id_ = made.json()["id"]

    for headers, path, code in (
        (stranger, path_of(practice), "provider_not_found"),
        (as_user("patient", practice.provider_id), path_of(practice), "provider_not_found"),
        (stranger, path_of(other), "exception_not_found"),
    ):
        answers = [
            await api.get(f"{path}/{id_}", headers=headers),
            await api.patch(f"{path}/{id_}", json={"reason": "X"}, headers=headers),
            await api.delete(f"{path}/{id_}", headers=headers),
        ]
        assert [answer.status_code for answer in answers] == [404] * 3
        assert {answer.json()["code"] for answer in answers} == {code}
    assert (await api.get(path_of(practice), headers=stranger)).status_code == 404
    assert (
        await api.post(path_of(practice), json=an_exception(), headers=stranger)
    ).status_code == 404
    assert await count(database) == 1


async def test_the_same_key_blocks_once(api: AsyncClient, as_user: As, database: Database) -> None:
    practice = await a_practice(database)
    own = as_user("provider", practice.provider_id) | {"Idempotency-Key": "congress"}

    first, again = [
        await api.post(path_of(practice), json=an_exception(), headers=own) for _ in range(2)
    ]

    assert first.content == again.content
    assert await count(database) == 1
