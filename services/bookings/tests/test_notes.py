"""Notes beside an appointment: who reads which, and where their text never goes."""

import logging
from typing import Any
from uuid import uuid4

import pytest

from shared.db import Database
from shared.http import AsyncClient

from .builders import a_clinic
from .stage import ADMIN, As, a_booking, as_it_is, patient_of, provider_of, told, trail

SECRET = "drinks too much, says his wife"


@pytest.fixture
async def situation(database: Database) -> dict[str, Any]:
    clinic = await a_clinic(database)
    appointment = await a_booking(database, clinic)
    return {
        "id": appointment.id,
        "path": f"/v1/appointments/{appointment.id}/notes",
        "provider": provider_of(clinic),
        "patient": patient_of(appointment),
        "admin": ADMIN,
    }


async def write(
    api: AsyncClient, as_user: As, situation: dict[str, Any], who: str, text: str, visibility: str
) -> Any:
    user = situation[who]
    return await api.post(
        situation["path"],
        json={"text": text, "visibility": visibility},
        headers=as_user(user.role.value, user.id),
    )


async def read(
    api: AsyncClient, as_user: As, situation: dict[str, Any], who: str, **query: Any
) -> Any:
    user = situation[who]
    answer = await api.get(
        situation["path"], params=query, headers=as_user(user.role.value, user.id)
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_patient_sees_shared_notes_and_no_others(
    api: AsyncClient, as_user: As, situation: dict[str, Any]
) -> None:
    await write(api, as_user, situation, "provider", SECRET, "provider")
    await write(api, as_user, situation, "provider", "Come fasting.", "shared")
    await write(api, as_user, situation, "patient", "I will.", "shared")
    await write(api, as_user, situation, "admin", "Paid.", "provider")

    seen = {
        who: [note["text"] for note in (await read(api, as_user, situation, who))["items"]]
        for who in ("patient", "provider", "admin")
    }

    assert seen["patient"] == ["Come fasting.", "I will."]
    assert seen["provider"] == seen["admin"] == [SECRET, "Come fasting.", "I will.", "Paid."]


async def test_the_trail_tells_that_a_note_was_added_and_nothing_of_it(
    api: AsyncClient,
    as_user: As,
    database: Database,
    situation: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = await as_it_is(database, situation["id"])
    with caplog.at_level(logging.DEBUG):
        made = await write(api, as_user, situation, "provider", SECRET, "provider")

    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    assert await trail(database, situation["id"]) == ["held_created", "confirmed", "note_added"]
    assert len(await told(database, situation["id"])) == 2
    after = await as_it_is(database, situation["id"])
    assert (after.version, after.updated_at) == (before.version, before.updated_at)
    async with database.reading() as db:
        entry = await db.fetchrow("SELECT * FROM audit_events WHERE action = 'note_added'")
        assert entry["metadata"] == {"noteId": made.json()["id"], "visibility": "provider"}
        assert entry["actor_id"] == situation["provider"].id
        for table in ("audit_events", "outbox"):
            assert not await db.fetchval(
                f"SELECT count(*) FROM {table} t WHERE t::text LIKE $1", f"%{SECRET}%"
            )
    assert SECRET not in caplog.text


async def test_a_change_after_a_note_continues_the_same_trail(
    api: AsyncClient, as_user: As, database: Database, situation: dict[str, Any]
) -> None:
    await write(api, as_user, situation, "provider", SECRET, "provider")
    user = situation["patient"]

    cancelled = await api.post(
        f"/v1/appointments/{situation['id']}/cancel",
        json={},
        headers=as_user(user.role.value, user.id),
    )
    late = await write(api, as_user, situation, "provider", "He never called.", "provider")

    assert (cancelled.status_code, late.status_code) == (200, 201)
    assert (await trail(database, situation["id"]))[2:] == [
        "note_added",
        "cancelled_by_patient",
        "note_added",
    ]


async def test_a_patient_writes_nothing_that_they_could_not_read(
    api: AsyncClient, as_user: As, database: Database, situation: dict[str, Any]
) -> None:
    answer = await write(api, as_user, situation, "patient", "psst", "provider")

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "note_added" not in await trail(database, situation["id"])


@pytest.mark.parametrize("role", ["patient", "provider"])
async def test_strangers_find_no_notes_and_leave_none(
    api: AsyncClient, as_user: As, database: Database, situation: dict[str, Any], role: str
) -> None:
    headers = as_user(role, uuid4())

    read_answer = await api.get(situation["path"], headers=headers)
    written = await api.post(
        situation["path"], json={"text": "x", "visibility": "shared"}, headers=headers
    )

    assert read_answer.status_code == written.status_code == 404
    assert "note_added" not in await trail(database, situation["id"])


async def test_the_same_key_adds_one_note(
    api: AsyncClient, as_user: As, situation: dict[str, Any]
) -> None:
    user = situation["provider"]
    headers = as_user(user.role.value, user.id)
    body = {"text": "once", "visibility": "shared"}

    answers = [await api.post(situation["path"], json=body, headers=headers) for _ in range(3)]

    assert {answer.json()["id"] for answer in answers} == {answers[0].json()["id"]}
    assert len((await read(api, as_user, situation, "provider"))["items"]) == 1


async def test_many_notes_come_page_by_page(
    api: AsyncClient, as_user: As, situation: dict[str, Any]
) -> None:
    for number in range(7):
        await write(api, as_user, situation, "provider", f"{number}", "shared")

    seen: list[str] = []
    query: dict[str, str] = {}
    while True:
        page = await read(api, as_user, situation, "patient", limit="3", **query)
        seen += [note["text"] for note in page["items"]]
        if page["nextCursor"] is None:
            break
        query = {"cursor": page["nextCursor"]}

    assert seen == [str(number) for number in range(7)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": "", "visibility": "shared"}, "text"),
        ({"text": "x" * 2001, "visibility": "shared"}, "text"),
        ({"text": "a\u0000b", "visibility": "shared"}, "text"),
        ({"text": "x", "visibility": "public"}, "visibility"),
        ({"text": "x"}, "visibility"),
        ({"text": "x", "visibility": "shared", "authorId": str(uuid4())}, "authorId"),
    ],
)
async def test_a_bad_note_is_refused(
    api: AsyncClient, as_user: As, situation: dict[str, Any], body: dict[str, Any], field: str
) -> None:
    user = situation["provider"]

    answer = await api.post(situation["path"], json=body, headers=as_user(user.role.value, user.id))

    assert answer.status_code in (400, 422)
    assert answer.json()["errors"][0]["path"] == field
