"""Of patients, availability keeps ids and times, and what it has answered them."""

from uuid import uuid4

from shared.db import Database
from shared.events.patient import PatientDeleted
from shared.http import AsyncClient
from shared.idempotency import KEPT_COLUMNS
from shared.testing.leftovers import leftovers

from .builders import a_booking, a_practice, in_days, receive

MARKER = "zyxmark"


async def test_answers_go_and_what_is_claimed_stays_claimed(
    api: AsyncClient, database: Database
) -> None:
    practice = await a_practice(database)
    patient, other = uuid4(), uuid4()
    await receive(database, a_booking(practice, in_days(2), "confirmed", user_id=patient))
    async with database.transaction() as db:
        for caller in (patient, other):
            await db.execute(
                f"INSERT INTO idempotency_keys ({KEPT_COLUMNS}) "
                "VALUES ($1, 'POST /v1/availability/search', 'key', '', 200, '{}', $2)",
                caller,
                f"{MARKER} {caller}".encode(),
            )

    deleted = PatientDeleted(id=patient, version=2, erasure_id=uuid4())
    for _ in range(2):
        await receive(database, deleted)

    async with database.reading() as db:
        assert await leftovers(db, [f"{MARKER} {patient}"]) == []
        assert await leftovers(db, [f"{MARKER} {other}"]) != []
        assert await db.fetchval("SELECT count(*) FROM claims") == 1
        told = await db.fetch("SELECT data FROM outbox WHERE type = 'availability.patient_erased'")
    assert [row["data"]["patientId"] for row in told] == [str(patient)] * 2
