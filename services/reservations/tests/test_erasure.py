"""What reservations keeps of a patient: shown to bookings, and erased on its word."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from reservations.app import make_app
from reservations.consumers import HANDLERS
from reservations.settings import ReservationsSettings
from shared.auth import ServiceTokens
from shared.db import Database
from shared.events.envelope import Event
from shared.events.patient import PatientDeleted
from shared.http import AsyncClient
from shared.testing.api import client_of
from shared.testing.leftovers import leftovers
from shared.testing.tokens import SERVICE_SECRET, MakeToken

from .others import Others

PROVIDER, SERVICE = uuid4(), uuid4()


@pytest.fixture
async def api(settings_values: dict[str, Any]) -> AsyncIterator[AsyncClient]:
    async with Others().served() as address:
        settings = ReservationsSettings(
            **settings_values,
            availability_url=address,
            bookings_url=address,
            reservation_token_secret="a-secret-for-reservation-tokens-in-tests",
        )
        async with client_of(make_app(settings)) as client:
            yield client


async def reserve(api: AsyncClient, make_token: MakeToken, user: UUID, key: str) -> Any:
    return await api.post(
        "/v1/reservations",
        json={"providerId": str(PROVIDER), "serviceId": str(SERVICE), "timeslotId": "slot"},
        headers={"Authorization": f"Bearer {make_token('patient', user)}", "Idempotency-Key": key},
    )


async def erase(database: Database, patient: UUID) -> None:
    deleted = PatientDeleted(id=patient, version=2, erasure_id=uuid4())
    event = Event[Any](
        id=uuid4(),
        type=deleted.type,
        source=deleted.source,
        subject=deleted.subject,
        sequence=deleted.sequence,
        time=datetime.now(UTC),
        data=deleted,
    )
    async with database.transaction() as db:
        await HANDLERS[PatientDeleted](db, event)


async def test_reservations_and_answers_of_the_patient_go_and_others_stay(
    api: AsyncClient, make_token: MakeToken, database: Database
) -> None:
    patient, other = uuid4(), uuid4()
    token = (await reserve(api, make_token, patient, "one")).json()["reservationToken"]
    await reserve(api, make_token, other, "one")
    async with database.reading() as db:
        before = await leftovers(db, [token])

    await erase(database, patient)
    again = await reserve(api, make_token, patient, "one")

    async with database.reading() as db:
        left = await leftovers(db, [token])
        users = [row["user_id"] for row in await db.fetch("SELECT user_id FROM reservations")]
        told = await db.fetchval(
            "SELECT data FROM outbox WHERE type = 'reservation.patient_erased'"
        )
    assert (before, left) == (["public.idempotency_keys: " + token], [])
    assert users == [other]
    assert (told["patientId"], told["version"]) == (str(patient), 2)
    assert (again.status_code, again.json()["code"]) == (409, "answer_erased")


async def test_a_replayed_erasure_takes_nothing_that_is_new(
    api: AsyncClient, make_token: MakeToken, database: Database
) -> None:
    patient = uuid4()
    await erase(database, patient)
    await reserve(api, make_token, patient, "two")

    await erase(database, patient)

    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM reservations") == 1
        assert await db.fetchval("SELECT count(*) FROM outbox WHERE type LIKE '%erased'") == 2


async def test_the_export_has_reservations_without_tokens(
    api: AsyncClient, make_token: MakeToken
) -> None:
    patient = uuid4()
    made = (await reserve(api, make_token, patient, "three")).json()
    secret = ServiceTokens(SERVICE_SECRET, "bookings").token_for("reservations")

    answer = await api.get(
        f"/internal/patients/{patient}/export", headers={"Authorization": f"Bearer {secret}"}
    )

    assert answer.status_code == 200, answer.text
    [kept] = answer.json()["reservations"]
    assert kept["appointmentId"] == made["appointmentId"]
    assert made["reservationToken"] not in answer.text
