"""Locations and rooms over HTTP: one primary location, rooms with units, nobody left outside."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from availability.use_cases.locations import NewRoom
from shared.db import Database
from shared.http import AsyncClient, Response

from .builders import Practice, a_booking, a_practice, in_days, later, receive
from .conftest import As

ATHENS = {
    "name": "Kolonaki",
    "address": "12 Patriarchou Ioakim",
    "city": "Athens",
    "country": "GR",
    "timezone": "Europe/Athens",
    "latitude": 37.9786,
    "longitude": -0.5,
    "isPrimary": False,
}


async def add(api: AsyncClient, path: str, headers: dict[str, str], **body: Any) -> Any:
    made = await api.post(path, json=body, headers=headers)
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"{path}/{made.json()['id']}"
    return made.json()


async def primary(api: AsyncClient, path: str, headers: dict[str, str]) -> list[str]:
    items = (await api.get(path, headers=headers)).json()["items"]
    return [each["name"] for each in items if each["isPrimary"]]


async def units(
    api: AsyncClient, practice: Practice, headers: dict[str, str], kind: str = "room"
) -> list[Any]:
    """Those in use."""
    listed = await api.get(
        f"/v1/providers/{practice.provider_id}/resources?limit=100", headers=headers
    )
    return [each for each in listed.json()["items"] if each["kind"] == kind and each["isActive"]]


def codes(answer: Response) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(each["path"], each["code"]) for each in answer.json()["errors"]]


def paths(practice: Practice) -> tuple[str, str, str]:
    """Of the locations, of the one there is, and of its first room."""
    locations = f"/v1/providers/{practice.provider_id}/locations"
    one = f"{locations}/{practice.location_id}"
    return locations, one, f"{one}/rooms/{(practice.room_ids or [uuid4()])[0]}"


async def test_a_location_has_a_zone_and_an_address_that_everybody_may_know(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database)
    own = as_user("provider", practice.provider_id)
    path, _, _ = paths(practice)

    made = await add(api, path, own, **ATHENS)

    assert made == made | ATHENS | {"isPrimary": True, "isActive": True}
    assert (await api.get(path)).json() == {"items": [made], "nextCursor": None}
    assert (await api.get(f"{path}/{made['id']}")).json() == made
    changed = await api.patch(
        f"{path}/{made['id']}", json={"city": None, "timezone": "Asia/Tokyo"}, headers=own
    )
    assert changed.json() | {"updatedAt": ""} == made | {
        "city": None,
        "timezone": "Asia/Tokyo",
        "updatedAt": "",
    }


async def test_exactly_one_location_in_use_is_the_primary_one(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database)
    own = as_user("provider", practice.provider_id)
    path, _, _ = paths(practice)
    a, b, c = [await add(api, path, own, name=name, timezone="UTC") for name in "ABC"]

    async def patch(which: Any, **changes: Any) -> Response:
        return await api.patch(f"{path}/{which['id']}", json=changes, headers=own)

    assert await primary(api, path, own) == ["A"]
    await add(api, path, own, name="D", timezone="UTC", isPrimary=True)
    assert await primary(api, path, own) == ["D"]
    assert (await patch(b, isPrimary=True)).json()["isPrimary"]
    assert await primary(api, path, own) == ["B"]
    refused = await patch(b, isPrimary=False)
    assert (refused.status_code, refused.json()["code"]) == (409, "primary_location_needed")
    assert not (await patch(b, isActive=False)).json()["isPrimary"]
    assert await primary(api, path, own) == ["A"]
    assert codes(await patch(b, isPrimary=True)) == [("isPrimary", "NOT_ACTIVE")]
    await api.delete(f"{path}/{a['id']}", headers=own)
    assert await primary(api, path, own) == ["C"]
    for each in (await api.get(path)).json()["items"]:
        await api.delete(f"{path}/{each['id']}", headers=own)
    assert await primary(api, path, own) == []
    assert (await patch(b, isActive=True)).json()["isPrimary"]
    assert (await api.get(f"{path}/{c['id']}", headers=own)).status_code == 404


async def test_a_location_out_of_use_is_hidden_from_patients(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    own = as_user("provider", practice.provider_id)
    path, one, _ = paths(practice)
    slots = f"{practice.path()}&date={in_days(3):%Y-%m-%d}"
    assert (await api.get(slots)).json()["timeslots"]

    off = await api.patch(one, json={"isActive": False}, headers=own)

    assert off.json()["isActive"] is False
    assert (await api.get(path)).json()["items"] == []
    assert (await api.get(one)).json()["code"] == "location_not_found"
    assert (await api.get(one, headers=own)).json() == off.json()
    assert not [
        each
        for each in (await api.get(slots)).json()["timeslots"]
        if each["locationId"] == str(practice.location_id)
    ]


async def test_a_room_is_booked_through_as_many_units_as_it_has_capacity(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    own = as_user("provider", practice.provider_id)
    _, one, _ = paths(practice)
    rooms = f"{one}/rooms"

    hall = await add(api, rooms, own, name="Hall", capacity=3)
    video = await add(api, rooms, own, name="Video", capacity=2, isVirtual=True)

    assert hall == hall | {"capacity": 3, "isVirtual": False, "isActive": True}
    listed = (await api.get(rooms, headers=own)).json()["items"]
    assert [each["name"] for each in listed] == ["1", "Hall", "Video"]
    assert (await api.get(f"{rooms}/{hall['id']}", headers=own)).json() == hall
    seats = [each for each in await units(api, practice, own) if each["roomId"] == hall["id"]]
    assert [each["label"] for each in seats] == ["Hall"] * 3
    slots = await units(api, practice, own, "telehealth_slot")
    assert [(each["roomId"], each["locationId"]) for each in slots] == [(video["id"], None)] * 2
    await api.patch(f"{rooms}/{hall['id']}", json={"capacity": 2, "name": "Aula"}, headers=own)
    seats = [each for each in await units(api, practice, own) if each["roomId"] == hall["id"]]
    assert [each["label"] for each in seats] == ["Aula"] * 2
    assert (await api.delete(f"{rooms}/{hall['id']}", headers=own)).status_code == 204
    assert (await api.get(f"{rooms}/{hall['id']}", headers=own)).json()["code"] == "room_not_found"
    assert len(await units(api, practice, own)) == 1


CLOSING: dict[str, tuple[str, int, dict[str, Any] | None]] = {
    "the location goes out of use": ("PATCH", 1, {"isActive": False}),
    "the location is deleted": ("DELETE", 1, None),
    "the room goes out of use": ("PATCH", 2, {"isActive": False}),
    "the room is deleted": ("DELETE", 2, None),
    "the room gets too small": ("PATCH", 2, {"capacity": 1, "name": "Closet"}),
}


@pytest.mark.parametrize("closing", CLOSING)
async def test_nobody_who_is_expected_finds_the_door_closed(
    api: AsyncClient, as_user: As, database: Database, closing: str
) -> None:
    practice = await a_practice(database, staff=2, rooms=[NewRoom(name="1", capacity=2)])
    own = as_user("provider", practice.provider_id)
    method, which, body = CLOSING[closing]
    path = paths(practice)[which]
    before = (await api.get(path, headers=own)).json()
    (first_staff, second_staff), seats = practice.unit_ids[:2], practice.unit_ids[2:]
    booked = [
        a_booking(practice, in_days(2), units=[staff, seat])
        for staff, seat in zip((first_staff, second_staff), seats, strict=True)
    ]
    await receive(database, *booked)

    refused = await api.request(method, path, json=body, headers=own)

    assert (refused.status_code, refused.json()["code"]) == (409, "still_claimed")
    expected = {str(each.id) for each in booked}
    named = {each["id"] for each in refused.json()["appointments"]}
    assert named <= expected
    assert len(named) == refused.json()["appointmentCount"] == (1 if "small" in closing else 2)
    assert (await api.get(path, headers=own)).json() == before
    assert len(await units(api, practice, own)) == 2

    await receive(database, *(later(each, practice, "cancelled") for each in booked))
    done = await api.request(method, path, json=body, headers=own)
    assert done.status_code in (200, 204), done.text


async def test_a_location_is_kept_for_those_who_need_only_the_place(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    own = as_user("provider", practice.provider_id)
    path, one, room = paths(practice)
    other = await add(api, path, own, name="B", timezone="UTC")
    await receive(database, a_booking(practice, in_days(2)))

    assert (await api.delete(one, headers=own)).json()["code"] == "still_claimed"
    assert (await api.delete(room, headers=own)).status_code == 204
    assert (await api.delete(f"{path}/{other['id']}", headers=own)).status_code == 204


async def test_with_a_location_go_its_rooms_and_all_units_there(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1"), NewRoom(name="2", capacity=2)])
    own = as_user("provider", practice.provider_id)
    path, one, _ = paths(practice)
    kit = {"kind": "equipment", "label": "laser", "locationId": str(practice.location_id)}
    laser = await api.post(f"/v1/providers/{practice.provider_id}/resources", json=kit, headers=own)

    done = await api.delete(one, headers=own)

    assert done.status_code == 204
    assert (await api.get(path, headers=own)).json()["items"] == []
    assert (await api.get(f"{one}/rooms", headers=own)).json()["code"] == "location_not_found"
    listed = await api.get(f"/v1/providers/{practice.provider_id}/resources", headers=own)
    assert [each["kind"] for each in listed.json()["items"]] == ["staff"]
    async with database.reading() as db:
        gone = await db.fetch(
            "SELECT subject::uuid AS id FROM outbox WHERE type = 'resource.deleted'"
        )
        last = await db.fetchval(
            "SELECT data -> 'locations' FROM outbox WHERE type = 'provider.updated' "
            "ORDER BY position DESC LIMIT 1"
        )
    assert {row["id"] for row in gone} == {*practice.unit_ids[1:], UUID(laser.json()["id"])}
    assert last == []


async def test_everything_wrong_with_a_location_or_a_room_is_said_at_once(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    own = as_user("provider", practice.provider_id)
    path, one, room = paths(practice)
    wrong = {
        "name": "a\u202eb",
        "address": "x" * 201,
        "timezone": "Europe",
        "latitude": 90.5,
        "longitude": "23",
        "isPrimary": 1,
        "id": str(uuid4()),
    }
    expected = [
        ("name", "FORBIDDEN_CHARACTER"),
        ("address", "TOO_LONG"),
        ("timezone", "UNKNOWN_TIME_ZONE"),
        ("latitude", "OUT_OF_RANGE"),
        ("longitude", "NOT_A_NUMBER"),
        ("isPrimary", "NOT_A_BOOLEAN"),
        ("id", "UNKNOWN_FIELD"),
    ]

    assert codes(await api.post(path, json=wrong, headers=own)) == expected
    assert codes(await api.patch(one, json=wrong, headers=own)) == expected
    assert codes(await api.post(path, json={}, headers=own)) == [
        ("name", "REQUIRED"),
        ("timezone", "REQUIRED"),
    ]
    crowded = {"name": "", "capacity": 51, "isVirtual": "yes"}
    assert codes(await api.post(f"{one}/rooms", json=crowded, headers=own)) == [
        ("name", "BLANK"),
        ("capacity", "TOO_LARGE"),
        ("isVirtual", "NOT_A_BOOLEAN"),
    ]
    refused = codes(await api.patch(room, json={"capacity": 0, "isVirtual": True}, headers=own))
    assert refused == [("capacity", "TOO_SMALL"), ("isVirtual", "UNKNOWN_FIELD")]

    assert len((await api.get(path, headers=own)).json()["items"]) == 1
    assert len((await api.get(f"{one}/rooms", headers=own)).json()["items"]) == 1


async def test_a_room_is_found_at_its_own_location_only(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    other = await a_practice(database, rooms=[NewRoom(name="1")])
    own = as_user("provider", practice.provider_id)
    path, one, _ = paths(practice)
    second = await add(api, path, own, name="B", timezone="UTC")

    for wrong, code in (
        (f"{path}/{second['id']}/rooms/{practice.room_ids[0]}", "room_not_found"),
        (f"{one}/rooms/{other.room_ids[0]}", "room_not_found"),
        (f"{path}/{other.location_id}", "location_not_found"),
        (f"{path}/{other.location_id}/rooms/{other.room_ids[0]}", "location_not_found"),
    ):
        for method, body in (("GET", None), ("PATCH", {"name": "X"}), ("DELETE", None)):
            answer = await api.request(method, wrong, json=body, headers=own)
            assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_the_same_request_twice_makes_one_room(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    own = as_user("provider", practice.provider_id)
    _, one, _ = paths(practice)

    headers = own | {"Idempotency-Key": "a-room"}
    first = await api.post(f"{one}/rooms", json={"name": "2"}, headers=headers)
    again = await api.post(f"{one}/rooms", json={"name": "2"}, headers=headers)
    in_body = await api.post(
        f"{one}/rooms", json={"name": "2", "idempotencyKey": "a-room"}, headers=own
    )

    assert first.json() == again.json() == in_body.json()
    assert len(await units(api, practice, own)) == 2
