"""Events are announced with their cause, or not at all."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from shared.db import Database
from shared.events.patient import PatientUpdated
from shared.events.provider import AppointmentTypeDeleted, ProviderDeleted
from shared.messaging import outbox
from shared.observability import current_traceparent, story

from .stage import an_event


async def history(database: Database) -> list[tuple[str, int]]:
    async with database.reading() as connection:
        rows = await connection.fetch("SELECT type, sequence FROM outbox ORDER BY position")
    return [(row["type"], row["sequence"]) for row in rows]


async def test_events_are_written_in_the_order_in_which_they_are_put(database: Database) -> None:
    async with database.transaction() as connection:
        await outbox.put(connection, *(an_event(version=version) for version in range(1, 51)))

    assert [sequence for _, sequence in await history(database)] == list(range(1, 51))


async def test_an_event_of_a_session_goes_with_its_transaction(database: Database) -> None:
    with suppress(ZeroDivisionError):
        async with database.orm_transaction() as session:
            await outbox.add(session, an_event(version=1))
            _ = 1 / 0
    async with database.orm_transaction() as session:
        await outbox.add(session, an_event(version=2))

    assert [sequence for _, sequence in await history(database)] == [2]


async def test_all_three_ways_write_the_same_row(database: Database) -> None:
    event = PatientUpdated(
        id=uuid4(), version=3, name="Ada", email=None, phone=None, language="el", timezone="UTC"
    )
    with story("test"):
        cause = current_traceparent()
        async with database.transaction() as connection:
            await outbox.put(connection, event)
            await outbox.put(connection, event, event)
            await connection.execute(
                "INSERT INTO outbox (id, type, subject, sequence, occurred_at, traceparent, data) "
                "SELECT id, type, subject, sequence, occurred_at, traceparent, data "
                "FROM jsonb_populate_record(NULL::outbox, $1)",
                outbox.row(event, at=datetime.now(UTC)),
            )
        async with database.orm_transaction() as session:
            await outbox.add(session, event)

    async with database.reading() as connection:
        rows = await connection.fetch("SELECT * FROM outbox")
    assert len(rows) == len({row["id"] for row in rows}) == 5
    for row in rows:
        assert (row["type"], row["subject"], row["sequence"]) == (
            "patient.updated",
            str(event.id),
            3,
        )
        assert row["traceparent"] == cause
        assert row["data"] == event.model_dump(mode="json", by_alias=True)


async def test_an_event_too_large_for_the_broker_is_refused_at_its_cause(
    database: Database,
) -> None:
    event = PatientUpdated(
        id=uuid4(),
        version=1,
        name="x" * 2_000_000,
        email=None,
        phone=None,
        language="el",
        timezone="UTC",
    )

    async with database.transaction() as connection:
        with pytest.raises(ValueError, match="are allowed"):
            await outbox.put(connection, event)


async def test_purging_keeps_the_newest_of_each_type_and_subject(database: Database) -> None:
    subject, other = uuid4(), uuid4()
    async with database.transaction() as connection:
        await outbox.put(
            connection,
            an_event(subject, 1),
            AppointmentTypeDeleted(id=subject, version=1, provider_id=other),
            an_event(subject, 2),
            an_event(other, 1),
            an_event(subject, 3),
        )
        await connection.execute(
            "UPDATE outbox SET published_at = now() - CASE "
            "WHEN sequence = 3 THEN interval '1 day' ELSE interval '31 days' END"
        )

    deleted = await outbox.purge_outbox(database)

    assert deleted == 2
    assert await history(database) == [
        (AppointmentTypeDeleted.type, 1),
        (ProviderDeleted.type, 1),
        (ProviderDeleted.type, 3),
    ]


async def test_purging_never_touches_what_is_unpublished_or_recent(database: Database) -> None:
    subject = UUID(int=1)
    async with database.transaction() as connection:
        await outbox.put(connection, *(an_event(subject, version) for version in range(1, 5)))
        await connection.execute("UPDATE outbox SET published_at = now() WHERE sequence > 2")

    assert await outbox.purge_outbox(database, timedelta(hours=1)) == 0
    assert len(await history(database)) == 4


async def test_purging_goes_through_a_long_history(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO outbox (id, type, subject, sequence, data, published_at) "
            "SELECT gen_random_uuid(), 'provider.deleted', (n % 10)::text, n, '{}', "
            "now() - interval '40 days' FROM generate_series(1, 2500) AS n"
        )

    assert await outbox.purge_outbox(database) == 2490
    assert [sequence for _, sequence in await history(database)] == list(range(2491, 2501))
