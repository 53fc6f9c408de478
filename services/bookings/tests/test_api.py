"""The API from outside: status codes, bodies, problem documents, and who may see what."""

import asyncio
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest

from bookings.use_cases.end_hold import expire_due_holds, release_hold
from shared.auth import ServiceTokens
from shared.db import Database
from shared.http import AsyncClient, Response
from shared.testing.tokens import SERVICE_SECRET

from .builders import Clinic, a_clinic, tomorrow
from .stage import As, after

PROFILE = {"name": "Maria", "email": "maria@example.org", "timezone": "Europe/Athens"}


async def hold(api: AsyncClient, clinic: Clinic, patient: UUID, **changes: Any) -> Response:
    token = ServiceTokens(SERVICE_SECRET, "reservations").token_for("bookings")
    start = changes.pop("start", tomorrow())
    body = {
        "userId": str(patient),
        "providerId": str(clinic.provider.id),
        "serviceId": str(clinic.service.id),
        "timeslotId": f"slot-{start:%H%M}",
        "start": start.isoformat(),
        "mode": clinic.service.mode,
        "locationId": None,
        "roomId": None,
        "tokenHash": sha256(reservation_token(patient, start).encode()).hexdigest(),
    }
    return await api.post(
        "/internal/holds", json=body | changes, headers={"Authorization": f"Bearer {token}"}
    )


def reservation_token(patient: UUID, start: datetime | None = None) -> str:
    """Another one for each timeslot, as reservations makes them."""
    return sha256(f"{patient} {start or tomorrow()}".encode()).hexdigest()[:32]


async def book(api: AsyncClient, as_user: As, clinic: Clinic, patient: UUID, **changes: Any) -> Any:
    headers = as_user("patient", patient)
    await api.patch(f"/v1/patients/{patient}", json=PROFILE, headers=headers)
    held = await hold(api, clinic, patient, **changes)
    assert held.status_code == 201, held.text
    token = reservation_token(patient, changes.get("start"))
    answer = await api.post("/v1/bookings", json={"reservationToken": token}, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_the_whole_life_of_an_appointment(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    clinic, patient = await a_clinic(database), uuid4()

    appointment = await book(api, as_user, clinic, patient)
    seen = await api.get(
        f"/v1/appointments/{appointment['id']}", headers=as_user("patient", patient)
    )
    cancelled = await api.post(
        f"/v1/appointments/{appointment['id']}/cancel",
        json={"reason": "better already"},
        headers=as_user("patient", patient),
    )
    trail = await api.get(
        f"/v1/appointments/{appointment['id']}/audit", headers=as_user("patient", patient)
    )

    assert appointment["status"] == "confirmed"
    assert appointment["allowedActions"] == ["reschedule", "cancel"]
    assert [entry["action"] for entry in seen.json()["audit"]] == ["held_created", "confirmed"]
    assert cancelled.json()["appointment"]["status"] == "cancelled"
    assert cancelled.json()["appointment"]["cancellation"]["cause"] == "patient"
    assert cancelled.json()["refund"]["currency"] == "EUR"
    assert [entry["action"] for entry in trail.json()["items"]] == [
        "held_created",
        "confirmed",
        "cancelled_by_patient",
    ]


async def test_a_taken_timeslot_answers_slot_taken(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    clinic = await a_clinic(database)
    await book(api, as_user, clinic, uuid4())

    answer = await hold(api, clinic, uuid4())

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "slot_taken"


async def test_a_patients_token_opens_no_internal_door(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    answer = await api.post("/internal/holds", json={}, headers=as_user("patient", uuid4()))

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "path", ["/v1/appointments/{id}", "/v1/appointments/{id}/audit", "/v1/appointments/{id}/cancel"]
)
async def test_somebody_elses_appointment_looks_like_none(
    api: AsyncClient, as_user: As, database: Database, path: str
) -> None:
    appointment = await book(api, as_user, await a_clinic(database), uuid4())
    method = "POST" if path.endswith("cancel") else "GET"

    for role in ("patient", "provider"):
        headers = as_user(role, uuid4())
        body = {"json": {}} if method == "POST" else {}
        foreign = await api.request(
            method, path.format(id=appointment["id"]), headers=headers, **body
        )
        unknown = await api.request(method, path.format(id=uuid4()), headers=headers, **body)
        assert foreign.status_code == unknown.status_code == 404
        assert without_ids(foreign) == without_ids(unknown)


def without_ids(answer: Response) -> dict[str, Any]:
    return {k: v for k, v in answer.json().items() if k not in ("instance", "traceId")}


async def test_provider_and_admin_see_the_appointment(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    clinic = await a_clinic(database)
    appointment = await book(api, as_user, clinic, uuid4())
    path = f"/v1/appointments/{appointment['id']}"

    by_provider = await api.get(path, headers=as_user("provider", clinic.provider.id))
    by_admin = await api.get(path, headers=as_user("admin", uuid4()))

    assert (by_provider.status_code, by_admin.status_code) == (200, 200)


async def test_the_same_key_gets_the_same_answer(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    clinic, patient = await a_clinic(database), uuid4()
    headers = as_user("patient", patient)
    await api.patch(f"/v1/patients/{patient}", json=PROFILE, headers=headers)
    await hold(api, clinic, patient)
    body = {"reservationToken": reservation_token(patient)}

    answers = await asyncio.gather(
        *(api.post("/v1/bookings", json=body, headers=headers) for _ in range(50))
    )
    replay = await api.post("/v1/bookings", json=body, headers=headers)
    other = await api.post("/v1/bookings", json=body | {"reason": "x"}, headers=headers)

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert all(a.json()["code"] == "request_in_progress" for a in answers if a.status_code == 409)
    firsts = [a for a in answers if a.status_code == 201]
    assert replay.headers["idempotent-replayed"] == "true"
    assert {answer.content for answer in firsts} == {replay.content}
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    async with database.reading() as db:
        assert (
            await db.fetchval("SELECT count(*) FROM outbox WHERE type = 'booking.confirmed'") == 1
        )


@pytest.mark.parametrize("path", ["/v1/bookings", f"/v1/appointments/{UUID(int=7)}/cancel"])
async def test_the_idempotency_key_is_required(api: AsyncClient, as_user: As, path: str) -> None:
    headers = as_user("patient", uuid4())
    del headers["Idempotency-Key"]
    body = {"reservationToken": "x" * 32} if path.endswith("bookings") else {}

    answer = await api.post(path, json=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")


async def test_missing_contact_details_are_named_and_the_key_can_be_used_again(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    clinic, patient = await a_clinic(database), uuid4()
    await hold(api, clinic, patient)
    headers = as_user("patient", patient)
    body = {"reservationToken": reservation_token(patient)}

    refused = await api.post("/v1/bookings", json=body, headers=headers)
    await api.patch(f"/v1/patients/{patient}", json=PROFILE, headers=headers)
    accepted = await api.post("/v1/bookings", json=body, headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (422, "contact_details_missing")
    assert refused.json()["missing"] == ["name", "email"]
    assert accepted.status_code == 201


async def test_cancelling_twice_is_an_invalid_transition(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    patient = uuid4()
    appointment = await book(api, as_user, await a_clinic(database), patient)
    path = f"/v1/appointments/{appointment['id']}/cancel"
    await api.post(path, json={}, headers=as_user("patient", patient))

    again = await api.post(path, json={}, headers=as_user("patient", patient))

    assert (again.status_code, again.json()["code"]) == (409, "invalid_transition")


async def test_cancelling_frees_the_time_for_others(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    clinic, patient = await a_clinic(database), uuid4()
    appointment = await book(api, as_user, clinic, patient)
    await api.post(
        f"/v1/appointments/{appointment['id']}/cancel", json={}, headers=as_user("patient", patient)
    )

    again = await book(api, as_user, clinic, uuid4())

    assert again["status"] == "confirmed"


async def test_what_became_of_holds(api: AsyncClient, as_user: As, database: Database) -> None:
    clinic, patient = await a_clinic(database, staff=2), uuid4()
    token = ServiceTokens(SERVICE_SECRET, "reservations").token_for("bookings")
    confirmed, cancelled = [
        (await book(api, as_user, clinic, patient, start=tomorrow(hour)))["id"] for hour in (9, 10)
    ]
    await api.post(
        f"/v1/appointments/{cancelled}/cancel", json={}, headers=as_user("patient", patient)
    )
    held, over, ended, released = [
        (await hold(api, clinic, patient, start=tomorrow(hour))).json()["appointmentId"]
        for hour in (11, 12, 13, 14)
    ]
    await after(database, timedelta(minutes=3), UUID(over), UUID(ended))
    async with database.transaction() as db:
        await expire_due_holds(db, limit=1)
        token_hash = sha256(reservation_token(patient, tomorrow(14)).encode()).digest()
        assert await release_hold(db, UUID(released), token_hash=token_hash, by=patient)
    ids = [confirmed, cancelled, held, over, ended, released]

    answer = await api.post(
        "/internal/holds/outcomes",
        json={"appointmentIds": [*ids, str(uuid4())]},
        headers={"Authorization": f"Bearer {token}"},
    )

    told = {each["appointmentId"]: each["outcome"] for each in answer.json()["outcomes"]}
    outcomes = ["used", "used", "held", "expired", "expired", "released"]
    assert [told.pop(id_) for id_ in ids] == outcomes
    assert told == {}


async def test_lists_page_through_everything_once(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    clinic, patient = await a_clinic(database), uuid4()
    booked = [
        await book(api, as_user, clinic, patient, start=tomorrow() + timedelta(days=day))
        for day in range(5)
    ]
    await api.post(
        f"/v1/appointments/{booked[0]['id']}/cancel", json={}, headers=as_user("patient", patient)
    )
    path = f"/v1/users/{patient}/appointments"

    seen, cursor = [], None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await api.get(path, params=query, headers=as_user("patient", patient))).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    history = await api.get(path, params={"filter": "history"}, headers=as_user("patient", patient))

    assert seen == [appointment["id"] for appointment in booked[1:]]
    assert [item["id"] for item in history.json()["items"]] == [booked[0]["id"]]


async def test_a_list_is_for_its_owner(api: AsyncClient, as_user: As) -> None:
    answer = await api.get(f"/v1/users/{uuid4()}/appointments", headers=as_user("patient", uuid4()))

    assert answer.status_code == 404


async def test_a_profile_keeps_what_is_not_changed(api: AsyncClient, as_user: As) -> None:
    patient = uuid4()
    headers = as_user("patient", patient)
    await api.patch(f"/v1/patients/{patient}", json=PROFILE, headers=headers)

    changed = await api.patch(
        f"/v1/patients/{patient}", json={"phone": "+30 210 1234567"}, headers=headers
    )
    seen = await api.get(f"/v1/patients/{patient}", headers=headers)

    assert changed.json() == seen.json()
    assert (seen.json()["name"], seen.json()["phone"]) == ("Maria", "+302101234567")
    assert seen.json()["version"] == 2
    assert seen.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "body",
    [
        {"email": "nobody"},
        {"email": "a@b.c\r\nBcc: x@y.z"},
        {"phone": "12"},
        {"timezone": "Mars/Base"},
        {"language": "elvish!"},
        {"name": ""},
        {"name": "a\u0000b"},
        {"role": "admin"},
        {"version": 7},
    ],
)
async def test_a_bad_profile_is_refused_field_by_field(
    api: AsyncClient, as_user: As, database: Database, body: dict[str, object]
) -> None:
    patient = uuid4()

    answer = await api.patch(
        f"/v1/patients/{patient}", json=body, headers=as_user("patient", patient)
    )

    assert answer.status_code in (400, 422)
    assert answer.json()["errors"][0]["path"] == next(iter(body))
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM patients") == 0
