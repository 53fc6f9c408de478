"""Confirming in one statement: all of it or nothing, whoever else does the same at that moment."""

import asyncio
from collections import Counter
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from bookings import ledger, queries
from bookings.domain.appointment import Actor, ActorType
from bookings.domain.lifecycle import Action, Status
from bookings.use_cases.confirm import Details, confirm_appointment, confirm_at_once
from bookings.use_cases.hold import Wish, hold_timeslot
from shared.db import Database
from shared.http import AsyncClient
from shared.idempotency import Kept

from .builders import a_clinic, a_patient, a_wish, tomorrow
from .stage import As

AT_ONCE = 20


async def a_reservation(database: Database, patient: UUID, minute: int = 0) -> tuple[str, Wish]:
    """The token of a hold, each with another provider, and the hold."""
    token = sha256(uuid4().bytes).hexdigest()[:32]
    wish = a_wish(
        await a_clinic(database),
        patient_id=patient,
        start=tomorrow(9, minute),
        token_hash=sha256(token.encode()).digest(),
    )
    async with database.autocommit() as db:
        await hold_timeslot(db, wish)
    return token, wish


async def a_known_patient(database: Database) -> UUID:
    async with database.transaction() as db:
        return await a_patient(db)


async def rows(database: Database) -> dict[str, int]:
    async with database.reading() as db:
        row = await db.fetchrow(
            "SELECT (SELECT count(*) FROM appointments WHERE status = 'confirmed') AS confirmed, "
            "(SELECT count(*) FROM patient_claims) AS own, "
            "(SELECT count(*) FROM audit_events WHERE action = 'confirmed') AS audit, "
            "(SELECT count(*) FROM outbox WHERE type = 'booking.confirmed') AS outbox, "
            "(SELECT count(*) FROM idempotency_keys) AS answers"
        )
    return dict(row)


def kept_for(patient: UUID, key: str = "key") -> Kept:
    return Kept(patient, "POST /v1/bookings", key, b"asked", 201, "{}", b"answer")


async def at_once(database: Database, wish: Wish, key: str = "key") -> bool:
    async with database.autocommit() as db:
        return await confirm_at_once(
            db,
            wish.token_hash,
            Details(reason="cough"),
            user_id=wish.patient_id,
            kept=lambda _: kept_for(wish.patient_id, key),
        )


async def test_everything_is_written_with_the_answer(database: Database) -> None:
    patient = await a_known_patient(database)
    _, wish = await a_reservation(database, patient)

    assert await at_once(database, wish)

    assert await rows(database) == dict.fromkeys(
        ("confirmed", "own", "audit", "outbox", "answers"), 1
    )
    async with database.reading() as db:
        found = await queries.picked(db, wish.token_hash)
        body = await db.fetchval("SELECT body FROM idempotency_keys")
    assert found is not None
    assert (found.appointment.status, found.appointment.version) == (Status.CONFIRMED, 2)
    assert (found.appointment.reason, found.appointment.hold_expires_at) == ("cough", None)
    assert body == b"answer"


async def test_asking_again_writes_nothing(database: Database) -> None:
    patient = await a_known_patient(database)
    _, wish = await a_reservation(database, patient)
    await at_once(database, wish)

    assert not await at_once(database, wish, "another key")

    assert (await rows(database))["answers"] == 1


async def test_a_busy_patient_leaves_no_trace(database: Database) -> None:
    patient = await a_known_patient(database)
    _, first = await a_reservation(database, patient)
    _, second = await a_reservation(database, patient, minute=15)
    await at_once(database, first)

    assert not await at_once(database, second, "another key")

    assert set((await rows(database)).values()) == {1}


async def test_a_known_key_undoes_all_of_it(database: Database) -> None:
    patient = await a_known_patient(database)
    _, first = await a_reservation(database, patient)
    _, second = await a_reservation(database, patient, minute=45)
    await at_once(database, first)

    with pytest.raises(asyncpg.UniqueViolationError):
        await at_once(database, second)

    assert set((await rows(database)).values()) == {1}


@pytest.mark.parametrize(
    "meanwhile",
    [
        "UPDATE appointments SET version = version + 1",
        "UPDATE appointments SET hold_expires_at = now()",
    ],
)
async def test_what_has_changed_since_the_look_is_not_confirmed(
    database: Database, meanwhile: str
) -> None:
    patient = await a_known_patient(database)
    _, wish = await a_reservation(database, patient)
    async with database.autocommit() as db:
        picked = await queries.picked(db, wish.token_hash)
        assert picked is not None
        await db.execute(meanwhile)

        moved = picked.appointment.moved(Action.CONFIRMED, now=picked.now, hold_expires_at=None)
        done = await ledger.confirm(
            db,
            moved,
            Action.CONFIRMED,
            by=Actor(ActorType.PATIENT, patient),
            kept=kept_for(patient),
        )

    assert not done
    assert set((await rows(database)).values()) == {0}


async def test_both_ways_at_the_same_moment_have_one_effect(database: Database) -> None:
    patient = await a_known_patient(database)
    _, wish = await a_reservation(database, patient)

    async def locked() -> bool:
        async with database.transaction() as db:
            await confirm_appointment(db, wish.token_hash, Details(), user_id=patient)
        return False

    ways = [locked() if n % 2 else at_once(database, wish, f"key {n}") for n in range(AT_ONCE)]
    await asyncio.gather(*ways)

    made = await rows(database)
    assert made.pop("answers") <= 1
    assert set(made.values()) == {1}


async def confirm(api: AsyncClient, headers: dict[str, str], token: str) -> Any:
    return await api.post("/v1/bookings", json={"reservationToken": token}, headers=headers)


async def test_one_key_many_times_at_once(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    patient = await a_known_patient(database)
    token, _ = await a_reservation(database, patient)
    headers = as_user("patient", patient)

    answers = await asyncio.gather(*(confirm(api, headers, token) for _ in range(AT_ONCE)))

    done = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in done}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in done) == 1
    assert set((await rows(database)).values()) == {1}


async def test_many_reservations_under_one_key_at_once(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    patient = await a_known_patient(database)
    made = [await a_reservation(database, patient) for _ in range(AT_ONCE)]
    headers = as_user("patient", patient)

    answers = await asyncio.gather(*(confirm(api, headers, token) for token, _ in made))

    codes = Counter(answer.json().get("code", "confirmed") for answer in answers)
    assert codes.pop("confirmed") == 1
    assert codes.keys() <= {"idempotency_key_reused", "request_in_progress"}
    assert set((await rows(database)).values()) == {1}


async def test_rival_times_of_one_patient_at_once(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    patient = await a_known_patient(database)
    made = [await a_reservation(database, patient) for _ in range(AT_ONCE)]

    answers = await asyncio.gather(
        *(confirm(api, as_user("patient", patient), token) for token, _ in made)
    )

    codes = Counter(answer.json().get("code", "confirmed") for answer in answers)
    assert codes == {"confirmed": 1, "patient_busy": AT_ONCE - 1}
    stored = await rows(database)
    assert stored.pop("answers") == AT_ONCE
    assert set(stored.values()) == {1}


async def test_what_the_short_way_does_not_know_is_refused_by_the_long_one(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    patient = await a_known_patient(database)
    token, _ = await a_reservation(database, patient)
    headers = as_user("patient", patient)

    unknown = await api.post(
        "/v1/bookings?now=1", json={"reservationToken": token}, headers=headers
    )
    too_much = await api.post(
        "/v1/bookings", json={"reservationToken": token, "status": "completed"}, headers=headers
    )
    provider = await confirm(api, as_user("provider", patient), token)

    assert [(each.status_code, each.json()["code"]) for each in (unknown, too_much, provider)] == [
        (422, "invalid"),
        (422, "invalid"),
        (403, "forbidden"),
    ]
    assert set((await rows(database)).values()) == {0}
