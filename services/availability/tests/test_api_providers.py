"""Profiles over HTTP: who may make, see, change and end a provider."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest

from shared.db import Database
from shared.http import AsyncClient, Response
from shared.testing.leftovers import leftovers

from .builders import a_booking, a_practice, in_days, later, receive
from .conftest import As

PROFILE = {
    "name": "Dr. Anna Lind",
    "email": "anna.lind@Example.org",
    "phone": "+30 210 1234567",
    "language": "sv",
    "timezone": "Europe/Stockholm",
    "maxParallelSessions": 2,
}


async def create(api: AsyncClient, as_user: As, **changes: Any) -> Any:
    made = await api.post(
        "/v1/providers", json=PROFILE | changes, headers=as_user("admin", uuid4())
    )
    assert made.status_code == 201, made.text
    return made.json()


async def told(database: Database, subject: str) -> list[str]:
    async with database.reading() as db:
        rows = await db.fetch(
            "SELECT type FROM outbox WHERE subject = $1 ORDER BY position", subject
        )
    return [row["type"] for row in rows]


async def staff_in_use(api: AsyncClient, provider_id: str, headers: dict[str, str]) -> list[str]:
    listed = await api.get(f"/v1/providers/{provider_id}/resources", headers=headers)
    return [each["id"] for each in listed.json()["items"] if each["isActive"]]


def codes(answer: Response) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(each["path"], each["code"]) for each in answer.json()["errors"]]


async def test_an_admin_makes_a_provider_under_the_id_of_their_tokens(
    api: AsyncClient, as_user: As
) -> None:
    wanted = uuid4()

    made = await api.post(
        "/v1/providers", json=PROFILE | {"id": str(wanted)}, headers=as_user("admin", uuid4())
    )

    assert made.status_code == 201
    assert made.headers["location"] == f"/v1/providers/{wanted}"
    seen = await api.get(f"/v1/providers/{wanted}", headers=as_user("provider", wanted))
    assert seen.json() == made.json()
    assert seen.headers["etag"] == made.headers["etag"]
    shown = {
        name: value for name, value in seen.json().items() if name not in ("createdAt", "updatedAt")
    }
    assert shown == PROFILE | {
        "id": str(wanted),
        "email": "anna.lind@example.org",
        "phone": "+302101234567",
        "unhealthyCalendarPolicy": "shown",
        "timeOffNeedsApproval": True,
        "completionPolicy": "completed",
        "completionGraceMinutes": 1440,
        "isActive": True,
    }
    assert len(await staff_in_use(api, str(wanted), as_user("provider", wanted))) == 2


async def test_nobody_but_an_admin_makes_providers(api: AsyncClient, as_user: As) -> None:
    for role in ("patient", "provider"):
        answer = await api.post("/v1/providers", json=PROFILE, headers=as_user(role, uuid4()))
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")

    assert (await api.get("/v1/providers")).json() == {"items": [], "nextCursor": None}


async def test_an_id_is_given_once_however_many_ask_for_it(api: AsyncClient, as_user: As) -> None:
    body = PROFILE | {"id": str(uuid4())}

    answers = await asyncio.gather(
        *(api.post("/v1/providers", json=body, headers=as_user("admin", uuid4())) for _ in range(8))
    )

    assert sorted(each.status_code for each in answers) == [201] + [409] * 7
    assert {each.json().get("code") for each in answers} == {None, "provider_exists"}


async def test_the_same_request_twice_makes_one_provider(api: AsyncClient, as_user: As) -> None:
    headers = as_user("admin", uuid4()) | {"Idempotency-Key": "first-of-all"}

    first = await api.post("/v1/providers", json=PROFILE, headers=headers)
    again = await api.post("/v1/providers", json=PROFILE, headers=headers)

    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert len((await api.get("/v1/providers")).json()["items"]) == 1


async def test_patients_see_who_it_is_and_no_contacts(api: AsyncClient, as_user: As) -> None:
    made = await create(api, as_user)
    path = f"/v1/providers/{made['id']}"

    for headers in ({}, as_user("provider", uuid4())):
        seen = await api.get(path, headers=headers)
        assert seen.json() == {
            "id": made["id"],
            "name": "Dr. Anna Lind",
            "language": "sv",
            "timezone": "Europe/Stockholm",
            "isActive": True,
        }
        assert (await api.get("/v1/providers", headers=headers)).json()["items"] == [seen.json()]


async def test_what_staff_do_is_hidden_from_all_others_as_if_there_were_no_such_provider(
    api: AsyncClient, as_user: As
) -> None:
    made = await create(api, as_user)

    for role in ("patient", "provider"):
        headers = as_user(role, uuid4())
        for method, suffix, body in (
            ("PUT", "", PROFILE),
            ("PATCH", "", {"name": "X"}),
            ("DELETE", "", None),
            ("GET", "/resources", None),
            ("POST", "/resources", {"kind": "staff", "label": "X"}),
            ("POST", "/locations", {"name": "X", "timezone": "UTC"}),
            ("POST", "/appointment-types", {"slug": "x", "name": "X", "mode": "phone"}),
            ("GET", f"/locations/{uuid4()}/rooms", None),
        ):
            there, nowhere = [
                await api.request(
                    method, f"/v1/providers/{id_}{suffix}", json=body, headers=headers
                )
                for id_ in (made["id"], uuid4())
            ]
            assert there.status_code == nowhere.status_code == 404, (method, suffix)
            ids = ("instance", "traceId")
            assert {k: v for k, v in there.json().items() if k not in ids} == {
                k: v for k, v in nowhere.json().items() if k not in ids
            }
    unchanged = await api.get(f"/v1/providers/{made['id']}", headers=as_user("admin", uuid4()))
    assert unchanged.json() == made


async def test_patch_changes_what_is_given_and_put_all_of_it(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    made = await create(api, as_user)
    path, own = f"/v1/providers/{made['id']}", as_user("provider", UUID(made["id"]))

    patched = await api.patch(path, json={"phone": None, "completionPolicy": "none"}, headers=own)
    put = await api.put(path, json={"name": "Dr. Lind", "timezone": "Asia/Tokyo"}, headers=own)

    kept = made | {"phone": None, "completionPolicy": "none"}
    assert patched.json() | {"updatedAt": ""} == kept | {"updatedAt": ""}
    assert put.json() == put.json() | {
        "name": "Dr. Lind",
        "email": None,
        "language": "en",
        "timezone": "Asia/Tokyo",
        "maxParallelSessions": 1,
        "unhealthyCalendarPolicy": "shown",
        "completionPolicy": "completed",
        "isActive": True,
    }
    assert (await told(database, made["id"])).count("provider.updated") == 3


async def test_a_change_of_what_has_been_changed_meanwhile_is_refused(
    api: AsyncClient, as_user: As
) -> None:
    made = await create(api, as_user)
    path, admin = f"/v1/providers/{made['id']}", as_user("admin", uuid4())
    read = (await api.get(path, headers=admin)).headers["etag"]
    changed = await api.patch(path, json={"name": "A"}, headers=admin | {"If-Match": read})

    for method in ("PATCH", "PUT"):
        for stale in (read, "nonsense", f"W/{changed.headers['etag']}"):
            late = await api.request(
                method, path, json=PROFILE | {"name": "B"}, headers=admin | {"If-Match": stale}
            )
            assert (late.status_code, late.json()["code"]) == (412, "stale")
    current = f'"other", {changed.headers["etag"]}'
    for tags in (current, "*"):
        headers = admin | {"If-Match": tags}
        assert (await api.patch(path, json={"name": "C"}, headers=headers)).status_code == 200


async def test_everything_wrong_with_a_profile_is_said_at_once_and_nothing_is_stored(
    api: AsyncClient, as_user: As
) -> None:
    admin = as_user("admin", uuid4())
    made = await create(api, as_user)
    wrong = {
        "name": " ",
        "email": "nobody",
        "phone": "210",
        "language": "Swedish",
        "timezone": "Mars/Base",
        "maxParallelSessions": 0,
        "unhealthyCalendarPolicy": "ignored",
        "timeOffNeedsApproval": "no",
        "completionPolicy": "ended",
        "completionGraceMinutes": 10081,
        "version": 7,
    }
    expected = [
        ("name", "BLANK"),
        ("email", "NOT_AN_EMAIL"),
        ("phone", "NOT_A_PHONE"),
        ("language", "NOT_A_LANGUAGE"),
        ("timezone", "UNKNOWN_TIME_ZONE"),
        ("maxParallelSessions", "TOO_SMALL"),
        ("unhealthyCalendarPolicy", "NOT_ALLOWED"),
        ("timeOffNeedsApproval", "NOT_A_BOOLEAN"),
        ("completionPolicy", "NOT_ALLOWED"),
        ("completionGraceMinutes", "TOO_LARGE"),
        ("version", "UNKNOWN_FIELD"),
    ]
    path = f"/v1/providers/{made['id']}"

    assert codes(await api.post("/v1/providers", json=wrong, headers=admin)) == expected
    assert codes(await api.put(path, json=wrong, headers=admin)) == expected
    assert codes(await api.patch(path, json=wrong, headers=admin)) == expected
    nulls = dict.fromkeys(("name", "language", "timezone", "maxParallelSessions", "isActive"))
    refused = codes(await api.patch(path, json=nulls, headers=admin))
    assert sorted(field for field, _ in refused) == sorted(nulls)

    assert (await api.get(path, headers=admin)).json() == made
    assert len((await api.get("/v1/providers", headers=admin)).json()["items"]) == 1


async def test_a_provider_out_of_use_is_not_there_for_patients_and_comes_back(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database)
    await receive(database, a_booking(practice, in_days(2)))
    path, admin = f"/v1/providers/{practice.provider_id}", as_user("admin", uuid4())
    slots = f"{practice.path()}&date={in_days(3):%Y-%m-%d}"

    off = await api.patch(path, json={"isActive": False}, headers=admin)

    assert (off.status_code, off.json()["isActive"]) == (200, False)
    for hidden in (path, f"{path}/locations", f"{path}/appointment-types", slots):
        assert (await api.get(hidden)).json()["code"] == "provider_not_found"
    assert (await api.get("/v1/providers")).json()["items"] == []
    assert len((await api.get("/v1/providers", headers=admin)).json()["items"]) == 1
    await api.patch(path, json={"isActive": True}, headers=admin)
    assert (await api.get(slots)).json()["timeslots"]


async def test_a_provider_is_deleted_for_good_once_nobody_is_expected(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database)
    booked = a_booking(practice, in_days(2))
    await receive(database, booked, a_booking(practice, in_days(-2)))
    path, admin = f"/v1/providers/{practice.provider_id}", as_user("admin", uuid4())

    refused = await api.delete(path, headers=admin)
    await receive(database, later(booked, practice, "cancelled"))
    done = await api.delete(path, headers=admin)

    assert (refused.status_code, refused.json()["code"]) == (409, "still_claimed")
    assert [each["id"] for each in refused.json()["appointments"]] == [str(booked.id)]
    assert (done.status_code, done.content) == (204, b"")
    for headers in ({}, admin, as_user("provider", practice.provider_id)):
        for gone in (path, f"{path}/locations", f"{path}/appointment-types"):
            assert (await api.get(gone, headers=headers)).status_code == 404
        assert (await api.get("/v1/providers", headers=headers)).json()["items"] == []
    assert (await api.patch(path, json={"isActive": True}, headers=admin)).status_code == 404
    assert (await api.delete(path, headers=admin)).status_code == 404
    again = await api.post(
        "/v1/providers", json=PROFILE | {"id": str(practice.provider_id)}, headers=admin
    )
    assert again.json()["code"] == "provider_exists"
    assert (await told(database, str(practice.provider_id)))[-1] == "provider.deleted"


async def test_how_a_deleted_provider_was_reached_is_forgotten(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    made = await create(api, as_user)
    reached = ["anna.lind@", "302101234567"]
    async with database.reading() as db:
        before = await leftovers(db, reached)

    gone = await api.delete(f"/v1/providers/{made['id']}", headers=as_user("admin", uuid4()))

    assert gone.status_code == 204
    assert {line.partition(":")[0] for line in before} >= {"public.outbox", "public.providers"}
    async with database.reading() as db:
        assert await leftovers(db, reached) == []
    assert (await told(database, made["id"]))[-1] == "provider.deleted"


@pytest.mark.parametrize("held", [False, True])
async def test_fewer_parallel_sessions_than_are_claimed_are_refused_with_the_appointments(
    api: AsyncClient, as_user: As, database: Database, held: bool
) -> None:
    practice = await a_practice(database, staff=3)
    status = "held" if held else "confirmed"
    claimed = [id_ for id_ in practice.unit_ids if id_ != uuid5(practice.provider_id, "staff 1")]
    first, second = [
        a_booking(practice, in_days(2, hour), status, units=[unit])
        for hour, unit in zip((10, 9), claimed, strict=True)
    ]
    await receive(database, first, second)
    path, own = (
        f"/v1/providers/{practice.provider_id}",
        as_user("provider", practice.provider_id),
    )

    two = await api.patch(path, json={"maxParallelSessions": 2}, headers=own)
    one = await api.patch(path, json={"maxParallelSessions": 1, "name": "New"}, headers=own)

    assert two.json()["maxParallelSessions"] == 2
    in_use = await staff_in_use(api, str(practice.provider_id), own)
    assert sorted(in_use) == sorted(str(id_) for id_ in claimed)
    assert (one.status_code, one.json()["code"]) == (409, "still_claimed")
    (named,) = one.json()["appointments"]
    assert named["id"] in (str(first.id), str(second.id))
    assert named["start"][:10] == f"{in_days(2):%Y-%m-%d}"
    assert one.json()["appointmentCount"] == 1
    seen = (await api.get(path, headers=own)).json()
    assert (seen["maxParallelSessions"], seen["name"]) == (2, "Dr. Eleni")

    await receive(
        database, later(first, practice, "cancelled"), later(second, practice, "cancelled")
    )
    free = await api.patch(path, json={"maxParallelSessions": 1}, headers=own)
    assert free.json()["maxParallelSessions"] == 1


async def test_what_is_over_claims_nothing(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, staff=2)
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    await receive(
        database,
        *(a_booking(practice, an_hour_ago, units=[unit]) for unit in practice.unit_ids),
        *(
            a_booking(practice, in_days(3), "held", units=[unit], hold_expires_at=in_days(-1))
            for unit in practice.unit_ids
        ),
    )

    one = await api.patch(
        f"/v1/providers/{practice.provider_id}",
        json={"maxParallelSessions": 1},
        headers=as_user("admin", uuid4()),
    )

    assert one.json()["maxParallelSessions"] == 1


async def test_parallel_sessions_count_staff_with_names_of_their_own(
    api: AsyncClient, as_user: As
) -> None:
    made = await create(api, as_user)
    path, admin = f"/v1/providers/{made['id']}", as_user("admin", uuid4())
    nurse = await api.post(
        f"{path}/resources", json={"kind": "staff", "label": "Nurse"}, headers=admin
    )

    three = (await api.get(path, headers=admin)).json()["maxParallelSessions"]
    await api.patch(path, json={"maxParallelSessions": 1}, headers=admin)

    assert three == 3
    assert await staff_in_use(api, made["id"], admin) == [nurse.json()["id"]]
    more = await api.patch(path, json={"maxParallelSessions": 4}, headers=admin)
    assert more.json()["maxParallelSessions"] == 4
    assert len(await staff_in_use(api, made["id"], admin)) == 4


async def test_a_list_is_read_page_by_page(api: AsyncClient, as_user: As) -> None:
    made = [(await create(api, as_user, name=f"P{number}"))["id"] for number in range(5)]

    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = (await api.get(f"/v1/providers?limit=2{cursor}")).json()
        seen += [each["id"] for each in page["items"]]
        cursor = f"&cursor={page['nextCursor']}"

    assert seen == made
    assert page["nextCursor"] is None
    wrong = await api.get("/v1/providers?cursor=AAAA")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "cursor_invalid")
    assert (await api.get("/v1/providers?limit=101")).status_code == 422
