"""Reserving from outside, with the other two services saying yes, no, or nothing at all."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from reservations.app import make_app
from reservations.consumers import mark_ended, mark_used
from reservations.settings import ReservationsSettings
from reservations.use_cases.end import expire_due_reservations
from reservations.use_cases.reserve import Granted, Request, Wish, complete
from shared.auth import Principal, Role
from shared.db import Database
from shared.errors import Unavailable
from shared.http import AsyncClient, Response
from shared.testing.api import client_of
from shared.testing.tokens import MakeToken

from .others import ALTERNATIVES, Others, a_timeslot, not_offered, refusing, unknown

As = Callable[..., dict[str, str]]


@pytest.fixture
async def others() -> Others:
    return Others()


@pytest.fixture
async def address(others: Others) -> AsyncIterator[str]:
    async with others.served() as url:
        yield url


@pytest.fixture
async def api(settings_values: dict[str, Any], address: str) -> AsyncIterator[AsyncClient]:
    settings = ReservationsSettings(
        **settings_values,
        availability_url=address,
        bookings_url=address,
        reservation_token_secret="a-secret-for-reservation-tokens-in-tests",
    )
    async with client_of(make_app(settings)) as client:
        yield client


@pytest.fixture
def as_user(make_token: MakeToken) -> As:
    def headers(sub: UUID, role: str = "patient", key: str | None = None) -> dict[str, str]:
        named = {"Idempotency-Key": key} if key else {}
        return {"Authorization": f"Bearer {make_token(role, sub)}"} | named

    return headers


PROVIDER, SERVICE = uuid4(), uuid4()


def body(timeslot_id: str = "slot", **changes: Any) -> dict[str, Any]:
    return {
        "providerId": str(PROVIDER),
        "serviceId": str(SERVICE),
        "timeslotId": timeslot_id,
    } | changes


async def rows(database: Database) -> list[str]:
    async with database.reading() as db:
        found = await db.fetch("SELECT status FROM reservations ORDER BY created_at, id")
        return [row["status"] for row in found]


async def events(database: Database) -> list[str]:
    async with database.reading() as db:
        return [row["type"] for row in await db.fetch("SELECT type FROM outbox ORDER BY position")]


async def test_a_reservation_is_made_seen_and_released(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    user = uuid4()

    made = await api.post("/v1/reservations", json=body(), headers=as_user(user))
    path = f"/v1/reservations/{made.json()['reservationToken']}"
    seen = await api.get(path, headers=as_user(user))
    released = await api.delete(path, headers=as_user(user))
    again = await api.delete(path, headers=as_user(user))
    after = await api.get(path, headers=as_user(user))

    assert (made.status_code, made.headers["location"]) == (201, path)
    assert made.json()["timeslot"]["start"] == "2030-01-07T09:00:00.000Z"
    assert made.json()["expiresAt"] > made.json()["serverTime"]
    assert (seen.json()["status"], seen.json()["userId"]) == ("active", str(user))
    assert (released.status_code, again.status_code) == (204, 204)
    assert after.json()["status"] == "released"
    assert await events(database) == ["reservation.created", "reservation.released"]


async def test_the_token_itself_is_stored_nowhere(
    api: AsyncClient, as_user: As, database: Database, others: Others
) -> None:
    made = await api.post("/v1/reservations", json=body(), headers=as_user(uuid4()))
    token = made.json()["reservationToken"]

    async with database.reading() as db:
        stored = await db.fetchval("SELECT r::text FROM reservations r")
        told = await db.fetchval("SELECT data::text FROM outbox")

    assert token not in stored + told + str(others.asked)


async def test_reserving_again_gives_the_same_reservation(
    api: AsyncClient, as_user: As, others: Others
) -> None:
    headers = as_user(uuid4())

    first = await api.post("/v1/reservations", json=body(), headers=headers)
    second = await api.post("/v1/reservations", json=body(), headers=headers)

    assert first.json()["reservationToken"] == second.json()["reservationToken"]
    assert first.json()["appointmentId"] == second.json()["appointmentId"]
    assert len(others.asked) == 1


async def test_somebody_elses_reservation_looks_like_none(api: AsyncClient, as_user: As) -> None:
    made = await api.post("/v1/reservations", json=body(), headers=as_user(uuid4()))
    token = made.json()["reservationToken"]

    for method in ("GET", "DELETE"):
        foreign = await api.request(method, f"/v1/reservations/{token}", headers=as_user(uuid4()))
        unknown_ = await api.request(
            method, f"/v1/reservations/{'x' * 32}", headers=as_user(uuid4())
        )
        assert foreign.status_code == unknown_.status_code == 404
        assert foreign.json()["code"] == unknown_.json()["code"] == "reservation_not_found"


@pytest.mark.parametrize(
    ("field", "answer", "status", "code"),
    [
        ("offer", not_offered, 409, "slot_taken"),
        ("offer", unknown, 404, "timeslot_not_found"),
        ("hold", refusing("slot_taken"), 409, "slot_taken"),
        ("hold", refusing("against_policy", rule="min_notice"), 409, "against_policy"),
        ("hold", unknown, 404, "timeslot_not_found"),
        ("hold", refusing("something_new"), 503, "try_again"),
        ("offer", lambda _: (500, {}), 503, "try_again"),
        ("hold", lambda _: (500, {}), 503, "try_again"),
        ("hold", lambda _: (422, {}), 503, "try_again"),
        ("offer", lambda _: (401, {}), 503, "try_again"),
    ],
)
async def test_a_no_of_the_others_is_told_and_nothing_stays(
    api: AsyncClient,
    as_user: As,
    database: Database,
    others: Others,
    field: str,
    answer: Any,
    status: int,
    code: str,
) -> None:
    setattr(others, field, answer)

    refused = await api.post("/v1/reservations", json=body(), headers=as_user(uuid4()))

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    if code == "slot_taken":
        assert refused.json()["alternatives"] == ALTERNATIVES
    if code == "against_policy":
        assert refused.json()["rule"] == "min_notice"
    if status == 503:
        assert int(refused.headers["retry-after"]) >= 1
    assert (await rows(database), await events(database)) == ([], [])


async def test_a_service_that_is_down_is_a_503(
    settings_values: dict[str, Any], as_user: As, database: Database
) -> None:
    nowhere = "http://127.0.0.1:9/"
    settings = ReservationsSettings(
        **settings_values,
        availability_url=nowhere,
        bookings_url=nowhere,
        reservation_token_secret="a-secret-for-reservation-tokens-in-tests",
    )

    async with client_of(make_app(settings)) as api:
        answer = await api.post("/v1/reservations", json=body(), headers=as_user(uuid4()))

    assert (answer.status_code, answer.json()["code"]) == (503, "try_again")
    assert "retry-after" in answer.headers
    assert await rows(database) == []


async def test_at_most_three_timeslots_are_held_however_many_are_asked_for_at_once(
    api: AsyncClient, as_user: As, database: Database, others: Others
) -> None:
    headers = as_user(uuid4())

    answers: list[Response] = await asyncio.gather(
        *(api.post("/v1/reservations", json=body(f"slot{n}"), headers=headers) for n in range(20))
    )

    made = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert (len(made), len(refused)) == (3, 17)
    assert {answer.json()["code"] for answer in refused} == {"too_many_holds"}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert len(others.asked) == 3


async def held(api: AsyncClient, headers: dict[str, str], count: int) -> list[Response]:
    return [
        await api.post("/v1/reservations", json=body(f"slot{number}"), headers=headers)
        for number in range(count)
    ]


@pytest.mark.parametrize("outcome", ["used", "released"])
async def test_a_limit_counts_no_hold_that_bookings_knows_better(
    api: AsyncClient, as_user: As, database: Database, others: Others, outcome: str
) -> None:
    """As while the broker is away: no event has said that anything was booked."""
    headers = as_user(uuid4())
    others.outcome = lambda _: outcome

    answers = await held(api, headers, 7)

    assert {answer.status_code for answer in answers} == {201}
    assert await rows(database) == [outcome] * 6 + ["active"]


async def test_who_has_used_what_ran_out_here_need_not_cool_down(
    api: AsyncClient, as_user: As, database: Database, others: Others
) -> None:
    headers = as_user(uuid4())
    for number in range(5):
        answer = await api.post("/v1/reservations", json=body(f"slot{number}"), headers=headers)
        assert answer.status_code == 201
        async with database.transaction() as db:
            await db.execute("UPDATE reservations SET expires_at = now()")
            await expire_due_reservations(db)
    refused = await api.post("/v1/reservations", json=body("next"), headers=headers)
    others.outcome = lambda _: "used"

    answer = await api.post("/v1/reservations", json=body("next"), headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (429, "cooling_down")
    assert answer.status_code == 201


async def test_a_limit_stands_while_bookings_says_nothing(
    api: AsyncClient, as_user: As, others: Others
) -> None:
    headers = as_user(uuid4())
    others.outcomes_status = 404

    answers = await held(api, headers, 4)

    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]


async def test_a_released_timeslot_counts_no_longer(api: AsyncClient, as_user: As) -> None:
    headers = as_user(uuid4())
    made = [
        await api.post("/v1/reservations", json=body(f"slot{n}"), headers=headers) for n in range(3)
    ]
    await api.delete(f"/v1/reservations/{made[0].json()['reservationToken']}", headers=headers)

    answer = await api.post("/v1/reservations", json=body("slot4"), headers=headers)

    assert answer.status_code == 201


async def test_the_same_slot_twice_at_once_is_one_reservation(
    api: AsyncClient, as_user: As, database: Database, others: Others
) -> None:
    headers = as_user(uuid4())
    others.delay = 0.05

    answers: list[Response] = await asyncio.gather(
        *(api.post("/v1/reservations", json=body(), headers=headers) for _ in range(20))
    )
    later = await api.post("/v1/reservations", json=body(), headers=headers)

    assert {answer.status_code for answer in answers} <= {201, 409}
    tokens = {a.json()["reservationToken"] for a in answers if a.status_code == 201}
    assert tokens == {later.json()["reservationToken"]}
    assert await rows(database) == ["active"]


async def test_the_same_key_gets_the_same_answer(
    api: AsyncClient, as_user: As, others: Others
) -> None:
    headers = as_user(uuid4(), key="intent-1")

    first = await api.post("/v1/reservations", json=body(), headers=headers)
    again = await api.post("/v1/reservations", json=body(), headers=headers)
    other = await api.post("/v1/reservations", json=body("another"), headers=headers)

    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_refusal_is_repeated_for_its_key(
    api: AsyncClient, as_user: As, others: Others
) -> None:
    headers = as_user(uuid4(), key="intent-1")
    others.offer = not_offered
    first = await api.post("/v1/reservations", json=body(), headers=headers)
    del others.offer
    others.offer = Others().offer

    again = await api.post("/v1/reservations", json=body(), headers=headers)

    assert (again.status_code, again.content) == (409, first.content)


@pytest.mark.parametrize(
    ("changes", "role", "status"),
    [
        ({"userId": str(uuid4())}, "patient", 403),
        ({}, "provider", 403),
        ({"status": "confirmed"}, "patient", 422),
        ({"timeslotId": ""}, "patient", 422),
        ({"timeslotId": "x" * 101}, "patient", 422),
        ({"providerId": "1"}, "patient", 422),
        ({"serviceId": None}, "patient", 422),
    ],
)
async def test_what_is_not_the_callers_to_say_is_refused(
    api: AsyncClient,
    as_user: As,
    database: Database,
    changes: dict[str, Any],
    role: str,
    status: int,
) -> None:
    answer = await api.post(
        "/v1/reservations", json=body(**changes), headers=as_user(uuid4(), role)
    )

    assert answer.status_code == status
    assert await rows(database) == []


async def test_an_expired_reservation_says_so_with_and_without_a_worker(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    headers = as_user(uuid4())
    made = await api.post("/v1/reservations", json=body(), headers=headers)
    path = f"/v1/reservations/{made.json()['reservationToken']}"
    async with database.transaction() as db:
        await db.execute("UPDATE reservations SET expires_at = now()")

    lazily = (await api.get(path, headers=headers)).json()["status"]
    async with database.transaction() as db:
        assert await expire_due_reservations(db) == 1
        assert await expire_due_reservations(db) == 0
    swept = (await api.get(path, headers=headers)).json()["status"]

    assert (lazily, swept) == ("expired", "expired")
    assert await events(database) == ["reservation.created", "reservation.expired"]


async def test_an_interrupted_request_is_forgotten_and_counts_no_longer(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    headers = as_user(uuid4())
    made = await api.post("/v1/reservations", json=body(), headers=headers)
    assert made.status_code == 201, made.text
    async with database.transaction() as db:
        await db.execute("UPDATE reservations SET status = 'requested', expires_at = now()")
        assert await expire_due_reservations(db) == 1

    again = await api.post("/v1/reservations", json=body(), headers=headers)

    assert again.status_code == 201
    assert again.json()["appointmentId"] == made.json()["appointmentId"]
    assert await rows(database) == ["active"]


@pytest.mark.parametrize(
    ("order", "status"),
    [
        (["used"], "used"),
        (["released"], "released"),
        (["used", "released"], "used"),
        (["expired-by-worker", "used"], "used"),
    ],
)
async def test_bookings_events_end_the_reservation(
    api: AsyncClient, as_user: As, database: Database, order: list[str], status: str
) -> None:
    headers = as_user(uuid4())
    made = await api.post("/v1/reservations", json=body(), headers=headers)
    appointment = UUID(made.json()["appointmentId"])

    for step in order:
        async with database.transaction() as db:
            await _tell(db, step, appointment)

    seen = await api.get(f"/v1/reservations/{made.json()['reservationToken']}", headers=headers)
    assert seen.json()["status"] == status


class _Told:
    """As much of an event as the handlers read."""

    def __init__(self, appointment: UUID) -> None:
        self.data = self
        self.id = appointment
        self.cancellation = None


async def _tell(db: Any, step: str, appointment: UUID) -> None:
    if step == "expired-by-worker":
        await db.execute("UPDATE reservations SET expires_at = now()")
        await expire_due_reservations(db)
        return
    handler = mark_used if step == "used" else mark_ended
    await handler(db, _Told(appointment))  # type: ignore[arg-type]


async def test_a_request_that_was_forgotten_meanwhile_is_asked_to_try_again(
    database: Database,
) -> None:
    user = Principal(uuid4(), Role.PATIENT)
    wish = Wish(
        user_id=user.id, by=user, provider_id=PROVIDER, service_id=SERVICE, timeslot_id="slot"
    )
    granted = Granted(uuid4(), a_timeslot("slot"), datetime.now(UTC) + timedelta(minutes=2))

    async with database.transaction() as db:
        with pytest.raises(Unavailable):
            await complete(db, wish, Request(uuid4(), "x" * 32), granted)

    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM outbox") == 0
