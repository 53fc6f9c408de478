"""Services over HTTP, and what patients see of them."""

from typing import Any
from uuid import UUID, uuid4

from availability.use_cases.locations import NewRoom
from shared.db import Database
from shared.http import AsyncClient, Response

from .builders import Practice, a_booking, a_practice, in_days, receive
from .conftest import As

CHECK_UP = {
    "slug": "check-up",
    "name": "Check-up",
    "description": "Once a year.\nBring your card.",
    "mode": "in_person",
    "durationMinutes": 45,
    "bufferBeforeMinutes": 5,
    "bufferAfterMinutes": 10,
    "priceCents": 9900,
    "currency": "USD",
    "requiresApproval": True,
    "holdSeconds": 300,
    "minNoticeMinutes": 60,
    "maxFutureDays": 30,
    "allowPatientReschedule": False,
    "maxRescheduleCount": 1,
    "cancellation": {
        "freeUntilMinutes": 120,
        "feeCents": 500,
        "feePercent": 10,
        "cutoffMinutes": 30,
    },
    "requiredEquipment": ["ultrasound"],
}


def path_of(practice: Practice, service_id: object = "") -> str:
    path = f"/v1/providers/{practice.provider_id}/appointment-types"
    return f"{path}/{service_id}" if service_id else path


async def add(api: AsyncClient, practice: Practice, headers: dict[str, str], **body: Any) -> Any:
    made = await api.post(path_of(practice), json=body, headers=headers)
    assert made.status_code == 201, made.text
    assert made.headers["location"] == path_of(practice, made.json()["id"])
    return made.json()


async def told(database: Database, subject: object) -> list[Any]:
    async with database.reading() as db:
        rows = await db.fetch(
            "SELECT type, sequence, data FROM outbox WHERE subject = $1 ORDER BY position",
            str(subject),
        )
    return [(row["type"], row["sequence"], row["data"]) for row in rows]


def codes(answer: Response) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(each["path"], each["code"]) for each in answer.json()["errors"]]


async def test_a_service_says_all_about_itself_to_everybody(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    own = as_user("provider", practice.provider_id)
    places = {
        "locationIds": [str(practice.location_id)],
        "defaultLocationId": str(practice.location_id),
        "defaultRoomId": str(practice.room_ids[0]),
    }

    made = await add(api, practice, own, **CHECK_UP | places)

    assert made == made | CHECK_UP | places | {"isActive": True}
    assert (await api.get(path_of(practice, made["id"]))).json() == made
    listed = (await api.get(path_of(practice))).json()["items"]
    assert [each["slug"] for each in listed] == ["visit", "check-up"]
    assert listed[1] == made


async def test_a_service_needs_a_slug_a_name_and_a_mode_and_has_defaults_for_the_rest(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database)
    own = as_user("provider", practice.provider_id)

    made = await add(api, practice, own, slug="call", name="Call", mode="phone")

    assert made == made | {
        "durationMinutes": 30,
        "bufferBeforeMinutes": 0,
        "bufferAfterMinutes": 0,
        "priceCents": 0,
        "currency": "EUR",
        "requiresApproval": False,
        "holdSeconds": 120,
        "minNoticeMinutes": 0,
        "maxFutureDays": 60,
        "allowPatientReschedule": True,
        "maxRescheduleCount": 2,
        "requiredEquipment": [],
        "locationIds": [],
        "defaultLocationId": None,
        "defaultRoomId": None,
    }
    empty = codes(await api.post(path_of(practice), json={}, headers=own))
    assert empty == [("slug", "REQUIRED"), ("name", "REQUIRED"), ("mode", "REQUIRED")]


async def test_a_patch_changes_what_is_given_and_is_told(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    own = as_user("provider", practice.provider_id)
    made = await add(api, practice, own, **CHECK_UP)
    path = path_of(practice, made["id"])

    changed = await api.patch(
        path,
        json={
            "mode": "video",
            "description": None,
            "cancellation": {"feeCents": 700},
            "requiredEquipment": ["laser", "laser"],
            "locationIds": [str(practice.location_id)] * 2,
        },
        headers=own,
    )
    same = await api.patch(path, json={"mode": "video"}, headers=own)

    expected = made | {
        "mode": "video",
        "description": None,
        "cancellation": CHECK_UP["cancellation"] | {"feeCents": 700},  # type: ignore[operator]
        "requiredEquipment": ["laser"],
        "locationIds": [str(practice.location_id)],
    }
    assert changed.json() | {"updatedAt": ""} == expected | {"updatedAt": ""}
    assert same.json() == changed.json()
    events = await told(database, made["id"])
    assert [(name, version) for name, version, _ in events] == [
        ("appointment_type.updated", 1),
        ("appointment_type.updated", 2),
    ]
    assert events[1][2]["cancellation"]["feeCents"] == 700


async def test_a_change_of_what_has_been_changed_meanwhile_is_refused(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database)
    own = as_user("provider", practice.provider_id)
    path = path_of(practice, practice.service_id)
    read = (await api.get(path)).headers["etag"]

    first = await api.patch(path, json={"priceCents": 1}, headers=own | {"If-Match": read})
    late = await api.patch(path, json={"priceCents": 2}, headers=own | {"If-Match": read})

    assert first.status_code == 200
    assert (late.status_code, late.json()["code"]) == (412, "stale")
    assert (await api.get(path)).headers["etag"] == first.headers["etag"]


async def test_a_slug_is_one_services_until_that_is_deleted(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database)
    own = as_user("provider", practice.provider_id)
    call = {"slug": "visit", "name": "Call", "mode": "phone"}
    other = await add(api, practice, own, **call | {"slug": "other"})

    for refused in (
        await api.post(path_of(practice), json=call, headers=own),
        await api.patch(path_of(practice, other["id"]), json={"slug": "visit"}, headers=own),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "slug_taken")

    await api.delete(path_of(practice, practice.service_id), headers=own)
    await add(api, practice, own, **call)


async def test_a_service_out_of_use_is_hidden_from_patients(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database)
    own = as_user("provider", practice.provider_id)
    path = path_of(practice, practice.service_id)

    off = await api.patch(path, json={"isActive": False}, headers=own)

    assert off.json()["isActive"] is False
    assert (await api.get(path)).json()["code"] == "service_not_found"
    assert (await api.get(path_of(practice))).json()["items"] == []
    assert len((await api.get(path_of(practice), headers=own)).json()["items"]) == 1
    slots = await api.get(f"{practice.path()}&date={in_days(2):%Y-%m-%d}")
    assert slots.json()["code"] == "service_not_found"


async def test_a_deleted_service_is_gone_and_its_appointments_stay(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database)
    own = as_user("provider", practice.provider_id)
    await receive(database, a_booking(practice, in_days(2)))
    path = path_of(practice, practice.service_id)

    done = await api.delete(path, headers=own)

    assert done.status_code == 204
    for method, body in (("GET", None), ("PATCH", {"isActive": True}), ("DELETE", None)):
        answer = await api.request(method, path, json=body, headers=own)
        assert (answer.status_code, answer.json()["code"]) == (404, "service_not_found")
    assert (await api.get(path_of(practice), headers=own)).json()["items"] == []
    assert (await told(database, practice.service_id))[-1] == (
        "appointment_type.deleted",
        2,
        {
            "id": str(practice.service_id),
            "version": 2,
            "providerId": str(practice.provider_id),
        },
    )
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM claims") == 1


async def test_everything_wrong_with_a_service_is_said_at_once_and_nothing_is_stored(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database)
    own = as_user("provider", practice.provider_id)
    wrong = {
        "slug": "Check up",
        "name": "",
        "mode": "fax",
        "durationMinutes": 4,
        "bufferBeforeMinutes": -1,
        "bufferAfterMinutes": 241,
        "priceCents": 10.5,
        "currency": "XXX",
        "requiresApproval": "true",
        "holdSeconds": 59,
        "minNoticeMinutes": 43201,
        "maxFutureDays": 366,
        "maxRescheduleCount": True,
        "cancellation": {"feePercent": 101, "feeCents": None, "fee": 1},
        "requiredEquipment": ["ok", " "],
        "locationIds": ["x"],
        "defaultRoomId": 7,
        "isHidden": True,
    }
    expected = [
        ("slug", "WRONG_FORMAT"),
        ("name", "BLANK"),
        ("mode", "NOT_ALLOWED"),
        ("durationMinutes", "TOO_SMALL"),
        ("bufferBeforeMinutes", "TOO_SMALL"),
        ("bufferAfterMinutes", "TOO_LARGE"),
        ("priceCents", "NOT_AN_INTEGER"),
        ("currency", "UNKNOWN_CURRENCY"),
        ("requiresApproval", "NOT_A_BOOLEAN"),
        ("holdSeconds", "TOO_SMALL"),
        ("minNoticeMinutes", "TOO_LARGE"),
        ("maxFutureDays", "TOO_LARGE"),
        ("maxRescheduleCount", "NOT_AN_INTEGER"),
        ("cancellation.feeCents", "NOT_AN_INTEGER"),
        ("cancellation.feePercent", "TOO_LARGE"),
        ("cancellation.fee", "UNKNOWN_FIELD"),
        ("requiredEquipment.1", "BLANK"),
        ("locationIds.0", "NOT_AN_ID"),
        ("defaultRoomId", "NOT_AN_ID"),
        ("isHidden", "UNKNOWN_FIELD"),
    ]
    path = path_of(practice, practice.service_id)
    before = (await api.get(path)).json()

    assert codes(await api.post(path_of(practice), json=wrong, headers=own)) == expected
    assert codes(await api.patch(path, json=wrong, headers=own)) == expected

    assert (await api.get(path_of(practice), headers=own)).json()["items"] == [before]


async def test_every_place_that_is_not_there_is_named(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    other = await a_practice(database, rooms=[NewRoom(name="1")])
    own = as_user("provider", practice.provider_id)
    locations = f"/v1/providers/{practice.provider_id}/locations"
    second = await api.post(locations, json={"name": "B", "timezone": "UTC"}, headers=own)
    mine, theirs, b = str(practice.location_id), str(other.location_id), second.json()["id"]
    room, their_room = str(practice.room_ids[0]), str(other.room_ids[0])
    path = path_of(practice, practice.service_id)

    for places, expected in (
        (
            {
                "locationIds": [theirs, mine, str(uuid4())],
                "defaultLocationId": theirs,
                "defaultRoomId": their_room,
            },
            [
                ("locationIds.0", "UNKNOWN_LOCATION"),
                ("locationIds.2", "UNKNOWN_LOCATION"),
                ("defaultLocationId", "UNKNOWN_LOCATION"),
                ("defaultRoomId", "UNKNOWN_ROOM"),
            ],
        ),
        (
            {"locationIds": [mine], "defaultLocationId": b, "defaultRoomId": room},
            [("defaultLocationId", "NOT_LISTED"), ("defaultRoomId", "OTHER_LOCATION")],
        ),
        (
            {"locationIds": [b], "defaultRoomId": room},
            [("defaultRoomId", "OTHER_LOCATION")],
        ),
    ):
        made = await api.post(path_of(practice), json=CHECK_UP | places, headers=own)
        changed = await api.patch(path, json=places, headers=own)
        assert codes(made) == codes(changed) == expected
    assert len((await api.get(path_of(practice))).json()["items"]) == 1

    await api.patch(path, json={"locationIds": [mine], "defaultRoomId": room}, headers=own)
    narrowed = await api.patch(path, json={"locationIds": [b]}, headers=own)
    assert codes(narrowed) == [("defaultRoomId", "OTHER_LOCATION")]


async def test_a_service_still_names_a_place_that_is_deleted_and_is_not_offered_there(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    own = as_user("provider", practice.provider_id)
    path = path_of(practice, practice.service_id)
    place = str(practice.location_id)
    await api.patch(path, json={"locationIds": [place]}, headers=own)
    location = f"/v1/providers/{practice.provider_id}/locations/{place}"
    slots = f"{practice.path()}&date={in_days(2):%Y-%m-%d}"
    assert (await api.get(slots)).json()["timeslots"]

    await api.delete(location, headers=own)

    assert (await api.get(slots)).json()["timeslots"] == []
    renamed = await api.patch(path, json={"name": "New", "locationIds": [place]}, headers=own)
    assert (renamed.status_code, renamed.json()["locationIds"]) == (200, [place])
    locations = f"/v1/providers/{practice.provider_id}/locations"
    second = await api.post(locations, json={"name": "B", "timezone": "UTC"}, headers=own)
    both = sorted([place, second.json()["id"]])
    more = await api.patch(path, json={"locationIds": both}, headers=own)
    assert (more.status_code, more.json()["locationIds"]) == (200, both)
    assert (await api.get(slots)).json()["timeslots"]
    again = CHECK_UP | {"locationIds": [place]}
    refused = await api.post(path_of(practice), json=again, headers=own)
    assert codes(refused) == [("locationIds.0", "UNKNOWN_LOCATION")]


async def test_somebody_elses_service_does_not_exist(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice, other = await a_practice(database), await a_practice(database)
    own = as_user("provider", practice.provider_id)

    for method, body in (("GET", None), ("PATCH", {"name": "X"}), ("DELETE", None)):
        for service_id in (other.service_id, UUID(int=0)):
            answer = await api.request(
                method, path_of(practice, service_id), json=body, headers=own
            )
            assert (answer.status_code, answer.json()["code"]) == (404, "service_not_found")
