"""History by months, as docs/scaling.md proposes it: the same code on the same tables, taken apart.

The tables are those that the migrations make; the service keeps its connections meanwhile.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import asyncpg
import pytest

from bookings import audit, lists, queries
from bookings.use_cases.cancel import cancel_appointment
from shared.db import Connection, Database
from shared.messaging import inbox, outbox, relay
from shared.testing.partitions import History, keys_of

from .builders import a_provider, an_event, tomorrow
from .moving import Booked
from .stage import trail

APART = (History("audit_events", "occurred_at"), History("outbox", "occurred_at"))

KEPT_OTHERWISE = {
    "audit_events_pkey": "a random id",
    "audit_events_appointment_id_sequence_key": "the appointment's row, locked and compared",
    "outbox_pkey": "a sequence",
    "outbox_id_key": "a random id",
}
"""Keys that hold within one month once they carry the time, and what makes them hold beyond."""

NEVER_APART = {
    "inbox": "received_at",
    "idempotency_keys": "created_at",
}
"""Their keys are what they are for: with the time in it, a repetition in another month is new."""


@pytest.fixture
async def owner(owner_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(owner_url)
    yield connection
    await connection.close()


async def take_apart(owner: Connection, *histories: History) -> datetime:
    """From now on; returns that instant."""
    border: datetime = await owner.fetchval("SELECT clock_timestamp()")
    for history in histories:
        await history.prepare(owner, border)
        next_one = border + timedelta(days=30)
        await history.change_over(owner, border, next_one, next_one + timedelta(days=30))
    return border


async def partitions_in_use(owner: Connection, table: str) -> list[str]:
    rows = await owner.fetch(f"SELECT DISTINCT tableoid::regclass::text AS name FROM {table}")
    return sorted(row["name"] for row in rows)


async def test_a_booking_of_before_goes_on_after_its_history_was_taken_apart(
    database: Database, owner: Connection
) -> None:
    booked = await Booked.at_nine(database)
    border = await take_apart(owner, *APART)

    moved = await booked.move(await booked.hold(tomorrow() + timedelta(hours=3)))
    async with database.transaction() as db:
        await cancel_appointment(db, moved.appointment.id, reason=None, user=booked.patient)

    for history in APART:
        month = f"{history.table}_{border:%Y%m%d}"
        assert await partitions_in_use(owner, history.table) == [month, history.old]
    assert await trail(database, booked.id) == ["held_created", "confirmed", "rescheduled"]
    assert (await trail(database, moved.appointment.id))[-1] == "cancelled_by_patient"
    async with database.reading() as db:
        page = await lists.of_patient(db, booked.patient.id, upcoming=False, after=None, limit=9)
        assert {each.id for each in page.appointments} == {booked.id, moved.appointment.id}
        assert await queries.due_to_finish(db, limit=5) == []
    async with database.transaction() as db:
        assert (await audit.verify(db)).fault is None


async def test_the_relay_reads_and_marks_in_order_across_the_border(
    database: Database, owner: Connection
) -> None:
    told = a_provider()
    async with database.transaction() as db:
        await outbox.put(db, told)
    await take_apart(owner, *APART)
    async with database.transaction() as db:
        await outbox.put(db, told, a_provider())

    rows = await owner.fetch(relay._SELECT, 200, [])
    await owner.execute(relay._MARK, [row["position"] for row in rows])

    positions = [row["position"] for row in rows]
    assert len(positions) == 3
    assert positions == sorted(set(positions))
    assert await owner.fetch(relay._SELECT, 200, []) == []
    assert await outbox.purge_outbox(database, timedelta(0)) == 1
    assert await owner.fetchval("SELECT count(*) FROM outbox_before") == 0


async def test_which_keys_get_the_time_and_what_keeps_them_beyond_a_month(
    owner: Connection,
) -> None:
    lacking = [key.name for history in APART for key in await history.keys(owner)]

    await take_apart(owner, *APART)

    assert set(lacking) == KEPT_OTHERWISE.keys()
    for history in APART:
        for key in await keys_of(owner, history.table):
            assert history.column in key.columns


async def test_the_months_to_come_are_append_only_too(
    database: Database, owner: Connection
) -> None:
    border = await take_apart(owner, *APART)
    await Booked.at_nine(database)

    for table in ("audit_events", f"audit_events_{border:%Y%m%d}", "audit_events_before"):
        async with database.reading() as db:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await db.execute(f"DELETE FROM {table}")


async def test_a_month_is_put_aside_without_touching_a_row(
    database: Database, owner: Connection
) -> None:
    booked = await Booked.at_nine(database)
    await take_apart(owner, *APART)

    await owner.execute("ALTER TABLE audit_events DETACH PARTITION audit_events_before")

    assert await trail(database, booked.id) == []
    assert await owner.fetchval("SELECT count(*) FROM audit_events_before") == 2


@pytest.mark.parametrize("table", NEVER_APART)
async def test_what_remembers_is_not_taken_apart_by_time(owner: Connection, table: str) -> None:
    lacking = await History(table, NEVER_APART[table]).keys(owner)

    assert [key.name for key in lacking] == [f"{table}_pkey"]


async def test_an_inbox_by_months_would_take_an_event_twice(
    database: Database, owner: Connection
) -> None:
    event = an_event(a_provider())
    async with database.transaction() as db:
        assert await inbox.remember(db, "bookings", [event]) == {event.id}
    async with database.transaction() as db:
        assert await inbox.remember(db, "bookings", [event]) == set()

    await take_apart(owner, History("inbox", "received_at"))

    async with database.transaction() as db:
        assert await inbox.remember(db, "bookings", [event]) == {event.id}
