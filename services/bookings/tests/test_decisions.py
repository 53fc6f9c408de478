"""The provider's decisions from outside: clicks, repeated clicks, and who is told what."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from shared.db import Database
from shared.http import AsyncClient, Response

from .builders import Clinic, a_clinic
from .stage import ADMIN, As, a_booking, after, overdue, patient_of, provider_of, told, trail

DECISIONS = ("approve", "reject", "complete", "no-show")


async def decide(
    api: AsyncClient, as_user: As, user: Any, id_: object, decision: str, **options: Any
) -> Response:
    key = options.pop("key", None)
    return await api.post(
        f"/v1/appointments/{id_}/{decision}",
        headers=as_user(user.role.value, user.id, key),
        **options,
    )


async def a_request(database: Database) -> tuple[Clinic, Any]:
    clinic = await a_clinic(database, requires_approval=True)
    return clinic, await a_booking(database, clinic)


async def test_two_clicks_and_their_retries_approve_once(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    clinic, request = await a_request(database)
    user, clicks = provider_of(clinic), ["first click", "second click"]

    answers = await asyncio.gather(
        *(
            decide(api, as_user, user, request.id, "approve", key=key, json={})
            for key in clicks * 10
        )
    )
    final = {
        key: await decide(api, as_user, user, request.id, "approve", key=key, json={})
        for key in clicks
    }

    codes = Counter(answer.json().get("code", answer.json()["status"]) for answer in answers)
    assert set(codes) <= {"confirmed", "invalid_transition", "request_in_progress"}
    assert sorted(answer.status_code for answer in final.values()) == [200, 409]
    assert all(answer.headers["idempotent-replayed"] == "true" for answer in final.values())
    assert await trail(database, request.id) == ["held_created", "request_submitted", "approved"]
    assert len(await told(database, request.id)) == 3


async def test_a_decision_needs_neither_key_nor_body(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    clinic, request = await a_request(database)
    headers = as_user("provider", clinic.provider.id)
    del headers["Idempotency-Key"]
    path = f"/v1/appointments/{request.id}/approve"

    first = await api.post(path, headers=headers)
    second = await api.post(path, headers=headers)

    assert (first.status_code, first.json()["status"]) == (200, "confirmed")
    assert (second.status_code, second.json()["code"]) == (409, "invalid_transition")


async def test_the_reason_reaches_the_patient(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    clinic, request = await a_request(database)
    body = {"reason": "Bring your papers."}

    await decide(api, as_user, provider_of(clinic), request.id, "approve", json=body)

    patient = patient_of(request)
    seen = await api.get(f"/v1/appointments/{request.id}", headers=as_user("patient", patient.id))
    assert seen.json()["decisionReason"] == "Bring your papers."
    assert seen.json()["pendingExpiresAt"] is None


async def test_a_late_approval_is_told_why(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    clinic, request = await a_request(database)
    await overdue(database, request.id)

    answer = await decide(api, as_user, provider_of(clinic), request.id, "approve")

    assert (answer.status_code, answer.json()["code"]) == (409, "request_expired")
    assert answer.json()["pendingExpiresAt"].endswith("Z")


async def test_an_early_completion_is_told_the_start(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    clinic = await a_clinic(database)
    appointment = await a_booking(database, clinic)

    answer = await decide(api, as_user, provider_of(clinic), appointment.id, "no-show")

    assert (answer.status_code, answer.json()["code"]) == (409, "against_policy")
    assert answer.json()["rule"] == "not_started"
    assert answer.json()["start"].startswith(f"{appointment.start:%Y-%m-%dT%H:%M}")


@pytest.mark.parametrize("decision", DECISIONS)
async def test_the_patient_may_not_decide_and_strangers_see_nothing(
    api: AsyncClient, as_user: As, database: Database, decision: str
) -> None:
    _, request = await a_request(database)

    own = await decide(api, as_user, patient_of(request), request.id, decision)
    assert (own.status_code, own.json()["code"]) == (403, "forbidden")
    for role in ("patient", "provider"):
        foreign, unknown = [
            await api.post(
                f"/v1/appointments/{id_}/{decision}", headers=as_user(role, uuid4()), json={}
            )
            for id_ in (request.id, uuid4())
        ]
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.json()["code"] == unknown.json()["code"] == "appointment_not_found"


async def test_a_finished_appointment_takes_no_other_decision(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    clinic = await a_clinic(database)
    appointment = await a_booking(database, clinic)
    await after(database, timedelta(days=2), appointment.id)
    done = await decide(api, as_user, provider_of(clinic), appointment.id, "complete")

    again = [await decide(api, as_user, ADMIN, appointment.id, decision) for decision in DECISIONS]

    assert (done.json()["status"], done.json()["allowedActions"]) == ("completed", [])
    assert {answer.status_code for answer in again} == {409}
    assert {answer.json()["code"] for answer in again} == {"invalid_transition"}


@pytest.mark.parametrize("body", [{"reason": ""}, {"reason": 7}, {"status": "confirmed"}])
async def test_a_bad_body_decides_nothing(
    api: AsyncClient, as_user: As, database: Database, body: dict[str, Any]
) -> None:
    clinic, request = await a_request(database)

    answer = await decide(api, as_user, provider_of(clinic), request.id, "approve", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == next(iter(body))
    assert len(await trail(database, request.id)) == 2


async def test_what_cancelling_costs_is_told_to_each_who_asks(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    clinic = await a_clinic(database)
    appointment = await a_booking(database, clinic)
    async with database.reading() as db:
        now = await db.fetchval("SELECT now()")

    async def policy(user: Any) -> dict[str, Any]:
        answer = await api.get(
            f"/v1/appointments/{appointment.id}", headers=as_user(user.role.value, user.id)
        )
        costs: dict[str, Any] = answer.json()["cancellationPolicy"]
        return costs

    await after(database, appointment.start - now - timedelta(hours=1), appointment.id)
    late = [await policy(user) for user in (patient_of(appointment), provider_of(clinic))]
    await after(database, timedelta(hours=2), appointment.id)
    begun = [await policy(user) for user in (patient_of(appointment), ADMIN)]

    assert [costs["feeNowCents"] for costs in late] == [2000, 0]
    assert [costs["feeNowCents"] for costs in begun] == [None, 0]
    assert {costs["feeCents"] for costs in late + begun} == {2000}
