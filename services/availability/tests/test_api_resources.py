"""Bookable units over HTTP."""

from typing import Any
from uuid import uuid4

import pytest

from availability.use_cases.locations import NewRoom
from shared.db import Database
from shared.http import AsyncClient, Response

from .builders import Practice, a_booking, a_practice, in_days, later, receive
from .conftest import As


async def add(api: AsyncClient, practice: Practice, headers: dict[str, str], **body: Any) -> Any:
    path = f"/v1/providers/{practice.provider_id}/resources"
    made = await api.post(path, json=body, headers=headers)
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"{path}/{made.json()['id']}"
    return made.json()


async def told(database: Database, subject: str) -> list[tuple[str, int]]:
    async with database.reading() as db:
        rows = await db.fetch(
            "SELECT type, sequence FROM outbox WHERE subject = $1 ORDER BY position", subject
        )
    return [(row["type"], row["sequence"]) for row in rows]


def codes(answer: Response) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(each["path"], each["code"]) for each in answer.json()["errors"]]


async def test_a_unit_is_made_moved_put_aside_and_deleted(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    own = as_user("provider", practice.provider_id)
    place = str(practice.location_id)

    made = await add(api, practice, own, kind="equipment", label="laser", locationId=place)
    path = f"/v1/providers/{practice.provider_id}/resources/{made['id']}"

    assert made == made | {
        "kind": "equipment",
        "label": "laser",
        "locationId": place,
        "roomId": None,
        "isActive": True,
    }
    assert (await api.get(path, headers=own)).json() == made
    moved = await api.patch(path, json={"label": "big laser", "locationId": None}, headers=own)
    assert (moved.json()["label"], moved.json()["locationId"]) == ("big laser", None)
    aside = await api.patch(path, json={"isActive": False}, headers=own)
    assert aside.json()["isActive"] is False
    assert (await api.get(path, headers=own)).json() == aside.json()
    assert (await api.delete(path, headers=own)).status_code == 204
    for method, body in (("GET", None), ("PATCH", {"isActive": True}), ("DELETE", None)):
        answer = await api.request(method, path, json=body, headers=own)
        assert (answer.status_code, answer.json()["code"]) == (404, "resource_not_found")
    assert await told(database, made["id"]) == [
        ("resource.updated", 1),
        ("resource.updated", 2),
        ("resource.updated", 3),
        ("resource.deleted", 4),
    ]


@pytest.mark.parametrize("status", ["held", "pending", "confirmed"])
async def test_a_unit_is_not_taken_from_those_who_are_expected(
    api: AsyncClient, as_user: As, database: Database, status: str
) -> None:
    practice = await a_practice(database, staff=2, rooms=[NewRoom(name="1")])
    own = as_user("provider", practice.provider_id)
    booked = a_booking(practice, in_days(2), status, units=practice.unit_ids[:1])
    await receive(database, booked)
    path = f"/v1/providers/{practice.provider_id}/resources/{practice.unit_ids[0]}"
    before = (await api.get(path, headers=own)).json()

    for method, body in (
        ("PATCH", {"isActive": False}),
        ("PATCH", {"label": "X", "locationId": str(practice.location_id)}),
        ("DELETE", None),
    ):
        refused = await api.request(method, path, json=body, headers=own)
        assert (refused.status_code, refused.json()["code"]) == (409, "still_claimed")
        assert [each["id"] for each in refused.json()["appointments"]] == [str(booked.id)]
    assert (await api.get(path, headers=own)).json() == before
    assert (await api.patch(path, json={"label": "X"}, headers=own)).status_code == 200

    await receive(database, later(booked, practice, "cancelled"))
    assert (await api.delete(path, headers=own)).status_code == 204


async def test_somebody_always_stays(api: AsyncClient, as_user: As, database: Database) -> None:
    practice = await a_practice(database)
    own = as_user("provider", practice.provider_id)
    path = f"/v1/providers/{practice.provider_id}/resources/{practice.unit_ids[0]}"

    for method, body in (("PATCH", {"isActive": False}), ("DELETE", None)):
        refused = await api.request(method, path, json=body, headers=own)
        assert (refused.status_code, refused.json()["code"]) == (409, "no_staff_left")

    nurse = await add(api, practice, own, kind="staff", label="Nurse")
    assert (await api.delete(path, headers=own)).status_code == 204
    profile = f"/v1/providers/{practice.provider_id}"
    more = await api.patch(profile, json={"maxParallelSessions": 2}, headers=own)
    assert more.json()["maxParallelSessions"] == 2
    listed = (await api.get(f"{profile}/resources", headers=own)).json()["items"]
    assert {each["id"] for each in listed} == {nurse["id"], str(practice.unit_ids[0])}
    assert [kind for kind, _ in await told(database, str(practice.unit_ids[0]))] == [
        "resource.updated",
        "resource.deleted",
        "resource.updated",
    ]


async def test_units_of_rooms_follow_their_rooms(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(
        database, rooms=[NewRoom(name="1"), NewRoom(name="V", is_virtual=True)]
    )
    own = as_user("provider", practice.provider_id)
    path = f"/v1/providers/{practice.provider_id}/resources"
    listed = (await api.get(path, headers=own)).json()["items"]
    of_rooms = [each for each in listed if each["roomId"]]

    assert sorted(each["kind"] for each in of_rooms) == ["room", "telehealth_slot"]
    for each in of_rooms:
        for method, body in (("PATCH", {"isActive": False}), ("DELETE", None)):
            refused = await api.request(method, f"{path}/{each['id']}", json=body, headers=own)
            assert (refused.status_code, refused.json()["code"]) == (409, "belongs_to_room")
    room = {"kind": "room", "label": "2", "locationId": str(practice.location_id)}
    assert codes(await api.post(path, json=room, headers=own)) == [("kind", "FOLLOWS_ROOM")]
    assert (await api.get(path, headers=own)).json()["items"] == listed


async def test_everything_wrong_with_a_unit_is_said_at_once_and_nothing_is_stored(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database)
    other = await a_practice(database, rooms=[NewRoom(name="1")])
    own = as_user("provider", practice.provider_id)
    path = f"/v1/providers/{practice.provider_id}/resources"
    before = (await api.get(path, headers=own)).json()

    wrong = {"kind": "car", "label": 7, "locationId": "here", "count": 3}
    assert codes(await api.post(path, json=wrong, headers=own)) == [
        ("kind", "NOT_ALLOWED"),
        ("label", "NOT_TEXT"),
        ("locationId", "NOT_AN_ID"),
        ("count", "UNKNOWN_FIELD"),
    ]
    for place in (other.location_id, other.room_ids[0], uuid4()):
        elsewhere = {"label": "X", "locationId": str(place)}
        unknown = [("locationId", "UNKNOWN_LOCATION")]
        made = await api.post(path, json=elsewhere | {"kind": "staff"}, headers=own)
        changed = await api.patch(f"{path}/{practice.unit_ids[0]}", json=elsewhere, headers=own)
        assert codes(made) == codes(changed) == unknown
    changed = await api.patch(
        f"{path}/{practice.unit_ids[0]}", json={"kind": "equipment", "label": None}, headers=own
    )
    assert codes(changed) == [("label", "NOT_TEXT"), ("kind", "UNKNOWN_FIELD")]
    somebody_elses = await api.get(f"{path}/{other.unit_ids[0]}", headers=own)
    assert somebody_elses.json()["code"] == "resource_not_found"
    assert (await api.get(path, headers=own)).json() == before
