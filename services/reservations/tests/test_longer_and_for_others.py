"""Extending, cooling down, reserving for a move, and reserving for a patient."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from reservations.consumers import HANDLERS, mark_ended
from reservations.use_cases.end import expire_due_reservations
from shared.db import Database
from shared.events.booking import BookingRescheduled
from shared.fields import instant_text
from shared.http import AsyncClient, Response

from .others import Others, refusing
from .test_api import PROVIDER, As, _Told, address, api, as_user, body, events, others, rows

__all__ = ["address", "api", "as_user", "others"]


async def reserve(
    api: AsyncClient, headers: dict[str, str], slot: str = "slot", **more: Any
) -> Any:
    made = await api.post("/v1/reservations", json=body(slot, **more), headers=headers)
    assert made.status_code == 201, made.text
    return made.json()


def path_of(made: Any) -> str:
    return f"/v1/reservations/{made['reservationToken']}"


async def run_out(database: Database) -> None:
    async with database.transaction() as db:
        await db.execute("UPDATE reservations SET expires_at = now() WHERE status = 'active'")


async def test_an_extended_reservation_counts_down_anew(
    api: AsyncClient, as_user: As, others: Others
) -> None:
    headers = as_user(uuid4())
    made = await reserve(api, headers)

    longer = await api.post(f"{path_of(made)}/extend", headers=headers)
    seen = await api.get(path_of(made), headers=headers)

    assert longer.status_code == 200
    assert longer.json()["expiresAt"] > made["expiresAt"]
    assert longer.json()["status"] == "active"
    assert longer.json()["serverTime"] < longer.json()["expiresAt"]
    assert seen.json()["expiresAt"] == longer.json()["expiresAt"]
    assert others.extensions[0]["appointmentId"] == made["appointmentId"]
    assert len(others.extensions[0]["tokenHash"]) == 64


async def test_the_same_key_extends_once(api: AsyncClient, as_user: As, others: Others) -> None:
    user = uuid4()
    made = await reserve(api, as_user(user))
    headers = as_user(user, key="longer")

    first = await api.post(f"{path_of(made)}/extend", headers=headers)
    again = await api.post(f"{path_of(made)}/extend", headers=headers)

    assert (again.content, len(others.extensions)) == (first.content, 1)


async def test_the_limit_of_extending_is_told_with_its_figures(
    api: AsyncClient, as_user: As, others: Others
) -> None:
    headers = as_user(uuid4())
    made = await reserve(api, headers)
    latest = instant_text(datetime.now(UTC) + timedelta(seconds=200))
    others.extend = refusing(
        "extension_limit", expiresAt=latest, latestExpiresAt=latest, maxHoldSeconds=300
    )

    refused = await api.post(f"{path_of(made)}/extend", headers=headers)
    seen = await api.get(path_of(made), headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (409, "extension_limit")
    assert refused.json()["maxHoldSeconds"] == 300
    assert seen.json()["expiresAt"] == latest


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (refusing("hold_expired"), 409, "hold_expired"),
        (refusing("invalid_transition", status=409), 409, "reservation_ended"),
        (lambda _: (404, {"code": "reservation_not_found", "detail": "none"}), 404, None),
        (refusing("something_new"), 503, "try_again"),
        (lambda _: (500, {}), 503, "try_again"),
    ],
)
async def test_bookings_no_to_extending_is_told(
    api: AsyncClient, as_user: As, others: Others, answer: Any, status: int, code: str | None
) -> None:
    headers = as_user(uuid4())
    made = await reserve(api, headers)
    others.extend = answer

    refused = await api.post(f"{path_of(made)}/extend", headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (
        status,
        code or "reservation_not_found",
    )


async def test_what_is_released_or_somebody_elses_is_not_extended(
    api: AsyncClient, as_user: As, others: Others
) -> None:
    headers = as_user(uuid4())
    made = await reserve(api, headers)

    foreign = await api.post(f"{path_of(made)}/extend", headers=as_user(uuid4()))
    nothing = await api.post(f"/v1/reservations/{'x' * 32}/extend", headers=headers)
    await api.delete(path_of(made), headers=headers)
    released = await api.post(f"{path_of(made)}/extend", headers=headers)

    assert (foreign.status_code, nothing.status_code) == (404, 404)
    assert (released.status_code, released.json()["reservationStatus"]) == (409, "released")
    assert others.extensions == []


async def test_an_extension_that_meets_the_expiry_ends_as_bookings_says(
    api: AsyncClient, as_user: As, others: Others, database: Database
) -> None:
    headers = as_user(uuid4())
    made = await reserve(api, headers)
    others.delay = 0.1

    asking = asyncio.create_task(api.post(f"{path_of(made)}/extend", headers=headers))
    await others.was_asked_for_longer.wait()
    await run_out(database)
    async with database.transaction() as db:
        await expire_due_reservations(db)
    answer = await asking

    assert (answer.status_code, answer.json()["status"]) == (200, "active")
    assert await rows(database) == ["active"]


async def test_an_extension_does_not_revive_what_was_released_meanwhile(
    api: AsyncClient, as_user: As, others: Others, database: Database
) -> None:
    headers = as_user(uuid4())
    made = await reserve(api, headers)
    others.delay = 0.1

    asking = asyncio.create_task(api.post(f"{path_of(made)}/extend", headers=headers))
    await others.was_asked_for_longer.wait()
    others.delay = 0
    await api.delete(path_of(made), headers=headers)

    assert (await asking).json()["status"] == "released"
    assert await rows(database) == ["released"]


async def let_expire(api: AsyncClient, headers: dict[str, str], database: Database, n: int) -> None:
    for number in range(n):
        await reserve(api, headers, f"wasted{number}")
        await run_out(database)


@pytest.mark.parametrize("swept", [False, True])
async def test_who_lets_five_expire_unused_has_to_wait(
    api: AsyncClient, as_user: As, database: Database, swept: bool
) -> None:
    headers = as_user(uuid4())
    await let_expire(api, headers, database, 5)
    if swept:
        async with database.transaction() as db:
            await expire_due_reservations(db)

    refused = await api.post("/v1/reservations", json=body("sixth"), headers=headers)
    neighbour = await api.post("/v1/reservations", json=body("sixth"), headers=as_user(uuid4()))

    assert (refused.status_code, refused.json()["code"]) == (429, "cooling_down")
    assert 500 <= int(refused.headers["retry-after"]) <= 601
    assert (refused.json()["limit"], refused.json()["windowSeconds"]) == (5, 600)
    assert neighbour.status_code == 201


async def test_the_wait_ends_with_the_window(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    headers = as_user(uuid4())
    await let_expire(api, headers, database, 5)
    async with database.transaction() as db:
        await db.execute("UPDATE reservations SET expires_at = now() - interval '10 minutes'")

    assert (
        await api.post("/v1/reservations", json=body("sixth"), headers=headers)
    ).status_code == 201


async def test_what_was_released_or_used_after_all_does_not_count(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    headers = as_user(uuid4())
    await let_expire(api, headers, database, 4)
    made = await reserve(api, headers, "released")
    await api.delete(path_of(made), headers=headers)
    used = await reserve(api, headers, "used")
    await run_out(database)
    async with database.transaction() as db:
        await expire_due_reservations(db)
        await HANDLERS[BookingRescheduled](db, _Told(UUID(used["appointmentId"])))  # type: ignore[arg-type]

    assert (
        await api.post("/v1/reservations", json=body("next"), headers=headers)
    ).status_code == 201


async def test_twenty_at_once_do_not_get_around_the_wait(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    headers = as_user(uuid4())
    await let_expire(api, headers, database, 5)

    answers: list[Response] = await asyncio.gather(
        *(api.post("/v1/reservations", json=body(f"n{n}"), headers=headers) for n in range(20))
    )

    assert {answer.status_code for answer in answers} == {429}


async def test_a_move_is_asked_for_with_the_appointment_that_may_stand_in_its_way(
    api: AsyncClient, as_user: As, others: Others
) -> None:
    user, old = uuid4(), str(uuid4())

    made = await reserve(api, as_user(user), rescheduleOf=old)
    again = await reserve(api, as_user(user), rescheduleOf=old)

    assert others.checked[0]["withoutAppointmentId"] == old
    assert others.asked[0]["rescheduleOf"] == old
    assert "byType" not in others.asked[0]
    assert made["reservationToken"] == again["reservationToken"]


async def test_without_a_move_nothing_new_is_said_to_the_others(
    api: AsyncClient, as_user: As, others: Others
) -> None:
    await reserve(api, as_user(uuid4()))

    assert "withoutAppointmentId" not in others.checked[0]
    assert not {"rescheduleOf", "byType", "byId"} & others.asked[0].keys()


async def test_a_reservation_for_a_move_serves_nothing_else_but_a_plain_one_serves_a_move(
    api: AsyncClient, as_user: As
) -> None:
    headers, old = as_user(uuid4()), str(uuid4())
    plain = await reserve(api, headers, "plain")
    await reserve(api, headers, "moving", rescheduleOf=old)

    same = await reserve(api, headers, "plain", rescheduleOf=old)
    other = await api.post("/v1/reservations", json=body("moving"), headers=headers)

    assert same["reservationToken"] == plain["reservationToken"]
    assert (other.status_code, other.json()["code"]) == (409, "reserved_for_reschedule")
    assert other.json()["appointmentId"] == old


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (lambda _: (404, {"code": "appointment_not_found", "detail": "none"}), 404, None),
        (refusing("invalid_transition"), 409, "invalid_transition"),
        (refusing("request_expired"), 409, "request_expired"),
        (refusing("against_policy", rule="max_reschedule_count"), 409, "against_policy"),
    ],
)
async def test_bookings_no_to_a_move_is_told_and_nothing_stays(
    api: AsyncClient,
    as_user: As,
    others: Others,
    database: Database,
    answer: Any,
    status: int,
    code: str | None,
) -> None:
    others.hold = answer

    refused = await api.post(
        "/v1/reservations", json=body(rescheduleOf=str(uuid4())), headers=as_user(uuid4())
    )

    assert (refused.status_code, refused.json()["code"]) == (
        status,
        code or "appointment_not_found",
    )
    assert await rows(database) == []


async def test_the_provider_reserves_for_a_patient_and_keeps_the_token(
    api: AsyncClient, as_user: As, others: Others, database: Database
) -> None:
    patient = uuid4()
    headers = as_user(PROVIDER, "provider")

    made = await reserve(api, headers, userId=str(patient), rescheduleOf=str(uuid4()))
    seen = await api.get(path_of(made), headers=headers)
    foreign = await api.get(path_of(made), headers=as_user(patient))
    released = await api.delete(path_of(made), headers=headers)

    asked = others.asked[0]
    assert (asked["userId"], asked["byType"], asked["byId"]) == (
        str(patient),
        "provider",
        str(PROVIDER),
    )
    assert seen.json()["userId"] == str(patient)
    assert (foreign.status_code, released.status_code) == (404, 204)
    async with database.reading() as db:
        told = await db.fetch("SELECT data FROM outbox ORDER BY position")
    assert {row["data"]["reservedBy"] for row in told} == {str(PROVIDER)}
    assert await events(database) == ["reservation.created", "reservation.released"]


@pytest.mark.parametrize(
    ("role", "sub", "changes", "status"),
    [
        ("provider", uuid4(), {"userId": str(uuid4())}, 403),
        ("provider", PROVIDER, {}, 403),
        ("admin", uuid4(), {}, 403),
        ("admin", uuid4(), {"userId": str(uuid4())}, 201),
        ("patient", uuid4(), {"userId": str(uuid4()), "rescheduleOf": str(uuid4())}, 403),
        ("patient", uuid4(), {"rescheduleOf": "1"}, 422),
    ],
)
async def test_for_whom_one_may_reserve(
    api: AsyncClient, as_user: As, role: str, sub: UUID, changes: dict[str, str], status: int
) -> None:
    answer = await api.post("/v1/reservations", json=body(**changes), headers=as_user(sub, role))

    assert answer.status_code == status


async def test_a_provider_is_limited_by_what_they_hold_themselves(
    api: AsyncClient, as_user: As
) -> None:
    patient, headers = uuid4(), as_user(PROVIDER, "provider")
    for n in range(3):
        await reserve(api, headers, f"slot{n}", userId=str(uuid4()))

    fourth = await api.post(
        "/v1/reservations", json=body("slot4", userId=str(patient)), headers=headers
    )
    own = await api.post("/v1/reservations", json=body("slot4"), headers=as_user(patient))

    assert (fourth.status_code, own.status_code) == (429, 201)


async def test_a_hold_that_bookings_ended_itself_is_released(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    headers = as_user(uuid4())
    made = await reserve(api, headers, rescheduleOf=str(uuid4()))
    async with database.transaction() as db:
        await mark_ended(db, _Told(UUID(made["appointmentId"])))  # type: ignore[arg-type]

    assert (await api.get(path_of(made), headers=headers)).json()["status"] == "released"
