"""What bookings learns from events: newer wins, older is read over, the gone stays gone."""

from typing import Any
from uuid import uuid4

import pytest

from bookings.audit import verify
from bookings.consumers import HANDLERS, let_go
from bookings.use_cases.hold import hold_timeslot
from shared.db import Database
from shared.events.calendar import CalendarEventFailed, CalendarEventWritten
from shared.events.envelope import EventData
from shared.events.provider import (
    AppointmentTypeDeleted,
    ProviderDeleted,
    ResourceDeleted,
)
from shared.events.reservation import ReservationReleased

from .builders import a_clinic, a_provider, a_resource, a_service, a_wish, an_event

PROVIDER = uuid4()
THING = uuid4()

SNAPSHOTS: list[tuple[str, Any]] = [
    ("providers", lambda version: a_provider(id=THING, version=version)),
    ("appointment_types", lambda version: a_service(PROVIDER, id=THING, version=version)),
    ("resources", lambda version: a_resource(PROVIDER, id=THING, version=version)),
]
DELETIONS: list[tuple[str, Any]] = [
    ("providers", lambda version: ProviderDeleted(id=THING, version=version)),
    (
        "appointment_types",
        lambda version: AppointmentTypeDeleted(id=THING, version=version, provider_id=PROVIDER),
    ),
    (
        "resources",
        lambda version: ResourceDeleted(
            id=THING, version=version, provider_id=PROVIDER, kind="staff"
        ),
    ),
]


async def receive(database: Database, *facts: EventData) -> None:
    for fact in facts:
        async with database.transaction() as db:
            await HANDLERS[type(fact)](db, an_event(fact))


async def stored(database: Database, table: str) -> tuple[int, bool]:
    async with database.reading() as db:
        row = await db.fetchrow(f"SELECT version, is_active FROM {table} WHERE id = $1", THING)
        return row["version"], row["is_active"]


@pytest.mark.parametrize(("table", "snapshot"), SNAPSHOTS)
@pytest.mark.parametrize("order", [(1, 2), (2, 1), (2, 1, 2), (1, 1, 2, 2)])
async def test_the_newest_snapshot_stays(
    database: Database, table: str, snapshot: Any, order: tuple[int, ...]
) -> None:
    await receive(database, *(snapshot(version) for version in order))

    assert await stored(database, table) == (2, True)


@pytest.mark.parametrize(
    ("table", "snapshot", "deletion"),
    [(table, snapshot, DELETIONS[n][1]) for n, (table, snapshot) in enumerate(SNAPSHOTS)],
)
@pytest.mark.parametrize("deleted_first", [False, True])
async def test_a_late_snapshot_does_not_revive_what_is_gone(
    database: Database, table: str, snapshot: Any, deletion: Any, deleted_first: bool
) -> None:
    facts = [snapshot(1), deletion(2)]

    await receive(database, *(reversed(facts) if deleted_first else facts))

    assert await stored(database, table) == (2, False)


async def test_a_released_reservation_frees_its_time(database: Database) -> None:
    clinic = await a_clinic(database)
    wish = a_wish(clinic)
    async with database.autocommit() as db:
        held, _ = await hold_timeslot(db, wish)
    released = ReservationReleased(
        id=uuid4(),
        version=2,
        appointment_id=held.id,
        user_id=wish.patient_id,
        provider_id=wish.provider_id,
        service_id=wish.service_id,
        timeslot_id=wish.timeslot_id,
        token_hash=wish.token_hash.hex(),
        expires_at=held.hold_expires_at,
    )

    for _ in range(2):
        async with database.transaction() as db:
            await let_go(db, an_event(released))

    async with database.reading() as db:
        row = await db.fetchrow("SELECT status, cancellation_cause FROM appointments")
        assert (row["status"], row["cancellation_cause"]) == ("cancelled", "hold_released")
        assert await db.fetchval("SELECT count(*) FROM claims") == 0
        assert await db.fetchval("SELECT count(*) FROM outbox") == 2


async def test_what_became_of_the_calendar_event_stands_in_the_trail(database: Database) -> None:
    clinic = await a_clinic(database)
    async with database.transaction() as db:
        held, _ = await hold_timeslot(db, a_wish(clinic))
    about: dict[str, Any] = {
        "id": uuid4(),
        "appointment_id": held.id,
        "provider_id": held.provider_id,
        "connection_id": uuid4(),
        "kind": "caldav",
        "at": held.created_at,
    }

    await receive(
        database,
        CalendarEventFailed(**about, version=1, reason="unreachable"),
        CalendarEventWritten(**about, version=2, action="created"),
        CalendarEventWritten(**about | {"appointment_id": uuid4()}, version=1, action="created"),
    )

    async with database.reading() as db:
        rows = await db.fetch(
            "SELECT action, actor_type, metadata FROM audit_events ORDER BY sequence OFFSET 1"
        )
        version = await db.fetchval("SELECT version FROM appointments")
        assert await db.fetchval("SELECT count(*) FROM outbox") == 1
    kind = {"connectionId": str(about["connection_id"]), "kind": "caldav"}
    assert [tuple(row) for row in rows] == [
        ("calendar_event_failed", "system", kind | {"reason": "unreachable"}),
        ("calendar_event_written", "system", kind | {"did": "created"}),
    ]
    assert version == held.version
    async with database.reading() as db, db.transaction():
        assert (await verify(db)).fault is None
