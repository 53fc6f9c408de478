"""What Prometheus is told of reservations."""

from typing import Any
from uuid import UUID, uuid4

from prometheus_client import REGISTRY

from reservations import metrics
from shared import due_work
from shared.db import Connection, Database


async def reserve(db: Connection, by: UUID, status: str = "requested", seconds: int = 60) -> None:
    values: tuple[Any, ...] = (uuid4(), status, by, uuid4(), uuid4(), uuid4().bytes, seconds)
    await db.execute(
        """
        INSERT INTO reservations (id, version, status, user_id, reserved_by, provider_id,
            service_id, timeslot_id, token_hash, expires_at)
        VALUES ($1, 1, $2, $3, $3, $4, $5, 'slot', $6, now() + make_interval(secs => $7))
        """,
        *values,
    )


def holders(holds: int) -> float | None:
    return REGISTRY.get_sample_value("reservations_holders", {"holds": str(holds)})


async def test_people_are_counted_by_how_much_they_hold(database: Database) -> None:
    once, twice, too_often = uuid4(), uuid4(), uuid4()
    async with database.transaction() as db:
        for person, holds in ((once, 1), (twice, 2), (too_often, 7)):
            for _ in range(holds):
                await reserve(db, person)
        await reserve(db, twice, status="released")
        await reserve(db, twice, seconds=-1)

    await metrics.count_holders(database)

    assert [holders(holds) for holds in range(1, 6)] == [1, 1, 0, 0, 1]


async def test_reservations_that_nobody_has_ended_are_late(database: Database) -> None:
    async with database.transaction() as db:
        await reserve(db, uuid4(), seconds=-90)
        await reserve(db, uuid4(), seconds=60)
        await reserve(db, uuid4(), status="released", seconds=-300)

    await due_work.measure(database, metrics.DUE)

    work = {"work": "reservation expiry"}
    assert REGISTRY.get_sample_value("work_due", work) == 1
    oldest = REGISTRY.get_sample_value("work_due_oldest_seconds", work)
    assert oldest is not None
    assert 90 <= oldest < 300
