"""Patients' profiles: what is kept, who sees it, and what others are told of it."""

from typing import Any
from uuid import uuid4

import pytest

from shared.db import Database
from shared.http import AsyncClient

from .stage import As

PROFILE = {
    "name": "Maria",
    "email": "maria@example.org",
    "phone": "+30 210 1234567",
    "language": "el",
    "timezone": "Europe/Athens",
    "communicationPreferences": {"sms": False},
    "emergencyContact": {"name": "Nikos", "phone": "+30 210 7654321", "relation": "brother"},
}


async def test_a_profile_is_kept_and_shown_to_its_owner_and_admins(
    api: AsyncClient, as_user: As
) -> None:
    patient = uuid4()
    path, own = f"/v1/patients/{patient}", as_user("patient", patient)

    changed = await api.patch(path, json=PROFILE, headers=own)
    seen = await api.get(path, headers=own)
    by_admin = await api.get(path, headers=as_user("admin", uuid4()))

    assert changed.status_code == 200, changed.text
    assert changed.json() == seen.json() == by_admin.json()
    assert seen.json()["phone"] == "+302101234567"
    assert seen.json()["communicationPreferences"] == {"email": True, "sms": False, "push": True}
    assert seen.json()["emergencyContact"] == {
        "name": "Nikos",
        "phone": "+302107654321",
        "relation": "brother",
    }
    assert seen.headers["cache-control"] == "no-store"


async def test_whoever_has_told_nothing_may_be_reached_by_every_channel(
    api: AsyncClient, as_user: As
) -> None:
    patient = uuid4()
    path, own = f"/v1/patients/{patient}", as_user("patient", patient)

    seen = (await api.patch(path, json={"name": "Maria"}, headers=own)).json()

    assert seen["communicationPreferences"] == {"email": True, "sms": True, "push": True}
    assert seen["emergencyContact"] is None


async def test_only_what_is_given_changes(api: AsyncClient, as_user: As) -> None:
    patient = uuid4()
    path, own = f"/v1/patients/{patient}", as_user("patient", patient)
    await api.patch(path, json=PROFILE, headers=own)

    changes = {"communicationPreferences": {"push": False}, "phone": None}
    seen = (await api.patch(path, json=changes, headers=own)).json()
    without = (await api.patch(path, json={"emergencyContact": None}, headers=own)).json()

    assert seen["communicationPreferences"] == {"email": True, "sms": False, "push": False}
    assert (seen["phone"], seen["email"]) == (None, "maria@example.org")
    assert seen["emergencyContact"]["name"] == "Nikos"
    assert (without["emergencyContact"], without["version"]) == (None, 3)


async def test_others_are_told_how_to_reach_the_patient_and_no_more(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    patient = uuid4()
    path, own = f"/v1/patients/{patient}", as_user("patient", patient)

    await api.patch(path, json=PROFILE, headers=own)

    async with database.reading() as db:
        event = await db.fetchrow("SELECT type, subject, data FROM outbox")
    assert (event["type"], event["subject"]) == ("patient.updated", str(patient))
    assert event["data"] == {
        "id": str(patient),
        "version": 1,
        "name": "Maria",
        "email": "maria@example.org",
        "phone": "+302101234567",
        "language": "el",
        "timezone": "Europe/Athens",
        "communicationPreferences": {"email": True, "sms": False, "push": True},
    }


@pytest.mark.parametrize("role", ["patient", "provider"])
@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_somebody_elses_profile_looks_like_none(
    api: AsyncClient, as_user: As, role: str, method: str
) -> None:
    patient = uuid4()
    await api.patch(f"/v1/patients/{patient}", json=PROFILE, headers=as_user("patient", patient))
    body: dict[str, Any] = {"json": {"name": "X"}} if method == "PATCH" else {}

    foreign, unknown = [
        await api.request(method, f"/v1/patients/{id_}", headers=as_user(role, uuid4()), **body)
        for id_ in (patient, uuid4())
    ]

    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["code"] == unknown.json()["code"] == "patient_not_found"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"communicationPreferences": {"fax": True}}, "communicationPreferences.fax"),
        ({"communicationPreferences": {"sms": "no"}}, "communicationPreferences.sms"),
        ({"communicationPreferences": None}, "communicationPreferences"),
        ({"emergencyContact": {"name": "Nikos"}}, "emergencyContact.phone"),
        ({"emergencyContact": {"name": "N", "phone": "12"}}, "emergencyContact.phone"),
        (
            {"emergencyContact": {"name": "N", "phone": "+30 999 0000000"}},
            "emergencyContact.phone",
        ),
        ({"emergencyContact": {"name": "", "phone": "+302101234567"}}, "emergencyContact.name"),
        ({"phone": "+30 999 0000000"}, "phone"),
        ({"email": "maria@"}, "email"),
        ({"email": "a@b.c\r\nBcc: x@y.z"}, "email"),
        ({"timezone": None}, "timezone"),
    ],
)
async def test_a_bad_field_is_named_and_nothing_is_kept(
    api: AsyncClient, as_user: As, database: Database, change: dict[str, Any], path: str
) -> None:
    patient = uuid4()

    answer = await api.patch(
        f"/v1/patients/{patient}", json=change, headers=as_user("patient", patient)
    )

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == path
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM patients") == 0
