"""Setting up: what is stored, what others are told, and what is refused."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from availability.domain.resources import Kind, Mode
from availability.domain.schedule import ExceptionKind
from availability.refusals import (
    ExceptionNotFound,
    LocationNotFound,
    NoStaffLeft,
    ProviderNotFound,
    ResourceNotFound,
    RoomNotFound,
    ServiceNotFound,
    SlugTaken,
)
from availability.use_cases.appointment_types import (
    NewAppointmentType,
    add_appointment_type,
    change_appointment_type,
)
from availability.use_cases.exceptions import (
    NewException,
    add_exception,
    change_exception,
    remove_exception,
)
from availability.use_cases.locations import (
    NewLocation,
    NewRoom,
    add_location,
    add_room,
    change_location,
    change_room,
)
from availability.use_cases.providers import change_provider
from availability.use_cases.resources import (
    NewResource,
    add_resource,
    change_resource,
)
from availability.use_cases.rules import NewBreak, add_rules
from shared.db import Database
from shared.errors import DomainError, Invalid
from shared.events.registry import EVENT_TYPES

from .builders import DAY, Practice, a_practice, a_rule, in_days

Do = Callable[[AsyncSession], Awaitable[Any]]


async def do(database: Database, *steps: Do) -> Any:
    """Each in a transaction of its own; what the last one returned."""
    result = None
    for step in steps:
        async with database.orm_transaction() as db:
            result = await step(db)
    return result


async def told(database: Database, event_type: str, subject: UUID | None = None) -> list[Any]:
    """The data of the events of one type, in order; each is what its model promises."""
    async with database.reading() as db:
        rows = await db.fetch(
            "SELECT sequence, data FROM outbox WHERE type = $1 AND ($2::text IS NULL "
            "OR subject = $2) ORDER BY position",
            event_type,
            subject and str(subject),
        )
    for row in rows:
        assert EVENT_TYPES[event_type].model_validate(row["data"]).sequence == row["sequence"]
    return [row["data"] for row in rows]


async def versions(database: Database, practice: Practice) -> tuple[int, int]:
    async with database.reading() as db:
        row = await db.fetchrow(
            "SELECT version, set_up_version FROM schedule_versions WHERE provider_id = $1",
            practice.provider_id,
        )
        assert row is not None
        return row["version"], row["set_up_version"]


async def test_a_provider_is_told_with_all_locations_and_rooms(database: Database) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1"), NewRoom(name="2", capacity=3)])

    await do(
        database,
        lambda db: add_location(
            db, practice.provider_id, NewLocation(name="B", timezone="Asia/Tokyo", is_primary=True)
        ),
        lambda db: change_room(
            db, practice.provider_id, practice.room_ids[0], {"is_active": False}
        ),
    )

    snapshots = await told(database, "provider.updated")
    assert [each["version"] for each in snapshots] == list(range(1, len(snapshots) + 1))
    first, second = snapshots[-1]["locations"]
    assert (first["name"], first["isPrimary"], first["timezone"]) == ("B", True, "Asia/Tokyo")
    assert (second["name"], second["isPrimary"]) == ("A", False)
    assert second["rooms"] == [
        {"id": str(practice.room_ids[1]), "name": "2", "capacity": 3, "isVirtual": False}
    ]


async def test_the_first_location_is_the_primary_one_and_there_is_never_a_second(
    database: Database,
) -> None:
    practice = await a_practice(database)
    provider_id = practice.provider_id
    new = NewLocation(name="A", timezone="UTC")
    await do(database, lambda db: add_location(db, provider_id, new))
    second = await do(
        database, lambda db: add_location(db, provider_id, NewLocation(name="B", timezone="UTC"))
    )
    assert not second.is_primary

    await do(database, lambda db: change_location(db, provider_id, second.id, {"is_primary": True}))

    locations = (await told(database, "provider.updated"))[-1]["locations"]
    assert [(each["name"], each["isPrimary"]) for each in locations] == [("B", True), ("A", False)]
    await do(database, lambda db: change_location(db, provider_id, new.id, {"is_active": False}))
    locations = (await told(database, "provider.updated"))[-1]["locations"]
    assert [each["name"] for each in locations] == ["B"]


async def test_an_appointment_type_is_told_in_full(database: Database) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])
    new = NewAppointmentType(
        slug="scan",
        name="Scan",
        description="With a report.",
        mode=Mode.IN_PERSON,
        duration_minutes=45,
        buffer_before_minutes=5,
        buffer_after_minutes=10,
        price_cents=9900,
        currency="EUR",
        requires_approval=True,
        hold_seconds=300,
        min_notice_minutes=60,
        max_future_days=30,
        allow_patient_reschedule=False,
        max_reschedule_count=1,
        cancellation_free_until_minutes=120,
        cancellation_fee_cents=500,
        cancellation_fee_percent=10,
        cancellation_cutoff_minutes=30,
        required_equipment=["ultrasound"],
        location_ids=[practice.location_id or uuid4()],
        default_location_id=practice.location_id,
        default_room_id=practice.room_ids[0],
    )

    await do(database, lambda db: add_appointment_type(db, practice.provider_id, new))

    assert await told(database, "appointment_type.updated", new.id) == [
        {
            "id": str(new.id),
            "version": 1,
            "providerId": str(practice.provider_id),
            "slug": "scan",
            "name": "Scan",
            "description": "With a report.",
            "mode": "in_person",
            "durationMinutes": 45,
            "bufferBeforeMinutes": 5,
            "bufferAfterMinutes": 10,
            "priceCents": 9900,
            "currency": "EUR",
            "requiresApproval": True,
            "holdSeconds": 300,
            "minNoticeMinutes": 60,
            "maxFutureDays": 30,
            "allowPatientReschedule": False,
            "maxRescheduleCount": 1,
            "cancellation": {
                "freeUntilMinutes": 120,
                "feeCents": 500,
                "feePercent": 10,
                "cutoffMinutes": 30,
            },
            "requiredEquipment": ["ultrasound"],
            "locationIds": [str(practice.location_id)],
            "defaultLocationId": str(practice.location_id),
            "defaultRoomId": str(practice.room_ids[0]),
            "isActive": True,
        }
    ]


async def in_use(database: Database, kind: Kind) -> list[tuple[UUID, UUID | None, UUID | None]]:
    async with database.reading() as db:
        rows = await db.fetch(
            "SELECT id, location_id, room_id FROM resources "
            "WHERE kind = $1 AND is_active ORDER BY id",
            kind.value,
        )
        return [(row["id"], row["location_id"], row["room_id"]) for row in rows]


async def test_parallel_sessions_are_so_many_units_of_staff(database: Database) -> None:
    practice = await a_practice(database)
    provider_id = practice.provider_id
    (only,) = await in_use(database, Kind.STAFF)

    await do(database, lambda db: change_provider(db, provider_id, {"parallel_sessions": 3}))
    three = await in_use(database, Kind.STAFF)
    await do(database, lambda db: change_provider(db, provider_id, {"parallel_sessions": 1}))
    one = await in_use(database, Kind.STAFF)
    await do(database, lambda db: change_provider(db, provider_id, {"parallel_sessions": 3}))

    assert (len(three), one) == (3, [only])
    assert await in_use(database, Kind.STAFF) == three
    others = [unit for unit, _, _ in three if unit != only[0]]
    for unit in others:
        snapshots = await told(database, "resource.updated", unit)
        assert [(each["version"], each["isActive"]) for each in snapshots] == [
            (1, True),
            (2, False),
            (3, True),
        ]
    assert len(await told(database, "resource.updated", only[0])) == 1


async def test_there_is_always_somebody(database: Database) -> None:
    practice = await a_practice(database)
    provider_id = practice.provider_id

    await do(database, lambda db: change_provider(db, provider_id, {"parallel_sessions": 0}))
    with pytest.raises(NoStaffLeft):
        await do(
            database,
            lambda db: change_resource(db, provider_id, practice.unit_ids[0], {"is_active": False}),
        )

    assert len(await in_use(database, Kind.STAFF)) == 1


async def test_a_room_is_as_many_units_as_it_has_capacity(database: Database) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="Hall", capacity=2)])
    room_id, provider_id = practice.room_ids[0], practice.provider_id
    two = await in_use(database, Kind.ROOM)
    assert [(place, room) for _, place, room in two] == [(practice.location_id, room_id)] * 2

    await do(database, lambda db: change_room(db, provider_id, room_id, {"capacity": 3}))
    assert len(await in_use(database, Kind.ROOM)) == 3
    await do(database, lambda db: change_room(db, provider_id, room_id, {"capacity": 1}))
    assert len(await in_use(database, Kind.ROOM)) == 1
    await do(database, lambda db: change_room(db, provider_id, room_id, {"is_active": False}))
    assert await in_use(database, Kind.ROOM) == []
    await do(
        database,
        lambda db: change_room(db, provider_id, room_id, {"is_active": True, "capacity": 2}),
    )
    assert await in_use(database, Kind.ROOM) == two


async def test_a_virtual_room_is_telehealth_slots_of_no_place(database: Database) -> None:
    practice = await a_practice(
        database, rooms=[NewRoom(name="1"), NewRoom(name="V", capacity=2, is_virtual=True)]
    )

    slots = await in_use(database, Kind.TELEHEALTH_SLOT)

    assert [(place, room) for _, place, room in slots] == [(None, practice.room_ids[1])] * 2
    assert len(await in_use(database, Kind.ROOM)) == 1


async def every_change(database: Database, practice: Practice) -> list[tuple[str, Do]]:
    """One of each kind, each making a difference, and all of what is needed to undo them."""
    provider_id, service_id = practice.provider_id, practice.service_id
    location = practice.location_id or uuid4()
    room = practice.room_ids[0]
    laser = NewResource(kind=Kind.EQUIPMENT, label="laser")
    rule = a_rule(1, start_minute=13 * 60, end_minute=14 * 60)
    start = in_days(3)
    exception = NewException(kind=ExceptionKind.BLOCKED, starts_at=start, ends_at=start + DAY)
    return [
        ("provider", lambda db: change_provider(db, provider_id, {"timezone": "Asia/Tokyo"})),
        (
            "location",
            lambda db: add_location(db, provider_id, NewLocation(name="B", timezone="UTC")),
        ),
        ("location", lambda db: change_location(db, provider_id, location, {"name": "C"})),
        ("room", lambda db: add_room(db, provider_id, location, NewRoom(name="9"))),
        ("room", lambda db: change_room(db, provider_id, room, {"capacity": 5})),
        (
            "type",
            lambda db: add_appointment_type(
                db, provider_id, NewAppointmentType(slug="x", name="X", mode=Mode.VIDEO)
            ),
        ),
        (
            "type",
            lambda db: change_appointment_type(db, provider_id, service_id, {"price_cents": 1}),
        ),
        (
            "type",
            lambda db: change_appointment_type(
                db, provider_id, service_id, {"location_ids": [location]}
            ),
        ),
        ("resource", lambda db: add_resource(db, provider_id, laser)),
        ("resource", lambda db: change_resource(db, provider_id, laser.id, {"label": "b"})),
        ("resource", lambda db: change_provider(db, provider_id, {"parallel_sessions": 4})),
        ("rule", lambda db: add_rules(db, provider_id, [rule])),
        ("exception", lambda db: add_exception(db, provider_id, exception)),
        (
            "exception",
            lambda db: change_exception(db, provider_id, exception.id, {"kind": "available"}),
        ),
        ("exception-", lambda db: remove_exception(db, provider_id, exception.id)),
    ]


async def test_every_change_moves_the_version_and_is_noted_and_no_change_does_not(
    database: Database,
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")])

    for number, (kind, change) in enumerate(await every_change(database, practice)):
        before = await versions(database, practice)
        await do(database, change)
        after = await versions(database, practice)
        about = f"{number} {kind}"
        assert after[0] > before[0], about
        assert (after[1] > before[1]) == (not kind.startswith("exception")), about

    before = await versions(database, practice)
    async with database.reading() as db:
        noted = await db.fetchval("SELECT count(*) FROM schedule_changes")
        events = await db.fetchval("SELECT count(*) FROM outbox")
    provider_id = practice.provider_id
    location = practice.location_id or uuid4()
    await do(
        database,
        lambda db: change_provider(db, provider_id, {"timezone": "Asia/Tokyo"}),
        lambda db: change_location(db, provider_id, location, {"name": "C", "is_primary": True}),
        lambda db: change_room(db, provider_id, practice.room_ids[0], {"capacity": 5}),
        lambda db: change_appointment_type(
            db, provider_id, practice.service_id, {"slug": "visit", "location_ids": [location]}
        ),
        lambda db: change_provider(db, provider_id, {"parallel_sessions": 4}),
        lambda db: add_rules(db, provider_id, []),
    )
    assert await versions(database, practice) == before
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM schedule_changes") == noted
        assert await db.fetchval("SELECT count(*) FROM outbox") == events


async def test_what_is_refused_leaves_nothing_behind(database: Database) -> None:
    practice = await a_practice(database)
    before = await versions(database, practice)

    with pytest.raises(SlugTaken):
        await do(
            database,
            lambda db: add_appointment_type(
                db,
                practice.provider_id,
                NewAppointmentType(slug="visit", name="Again", mode=Mode.PHONE),
            ),
        )

    assert await versions(database, practice) == before
    assert len(await told(database, "appointment_type.updated")) == 1


async def test_what_is_somebody_elses_does_not_exist(database: Database) -> None:
    practice = await a_practice(database)
    other = await a_practice(database, rooms=[NewRoom(name="1")])
    mine, place, room = practice.provider_id, other.location_id or uuid4(), other.room_ids[0]
    start = in_days(3)
    rule = a_rule(1)
    exception = NewException(kind=ExceptionKind.BLOCKED, starts_at=start, ends_at=start + DAY)
    await do(
        database,
        lambda db: add_rules(db, other.provider_id, [rule]),
        lambda db: add_exception(db, other.provider_id, exception),
    )
    video = {"slug": "v", "name": "V", "mode": Mode.VIDEO}

    def a_type(**changes: Any) -> Do:
        return lambda db: add_appointment_type(db, mine, NewAppointmentType(**video | changes))

    def a_scoped_rule(**scope: Any) -> Do:
        return lambda db: add_rules(db, mine, [a_rule(1, **scope)])

    def a_scoped_exception(**scope: Any) -> Do:
        values = {"kind": ExceptionKind.BLOCKED, "starts_at": start, "ends_at": start + DAY}
        return lambda db: add_exception(db, mine, NewException(**values | scope))

    refused: list[tuple[type[DomainError], Do]] = [
        (ProviderNotFound, lambda db: change_provider(db, uuid4(), {"name": "X"})),
        (ProviderNotFound, lambda db: add_rules(db, uuid4(), [rule])),
        (LocationNotFound, lambda db: change_location(db, mine, place, {"name": "X"})),
        (LocationNotFound, lambda db: add_room(db, mine, place, NewRoom(name="X"))),
        (RoomNotFound, lambda db: change_room(db, mine, room, {"capacity": 9})),
        (ResourceNotFound, lambda db: change_resource(db, mine, other.unit_ids[0], {"label": "X"})),
        (
            ServiceNotFound,
            lambda db: change_appointment_type(db, mine, other.service_id, {"price_cents": 0}),
        ),
        (Invalid, a_type(location_ids=[place])),
        (Invalid, a_type(default_location_id=place)),
        (Invalid, a_type(default_room_id=room)),
        (ServiceNotFound, a_scoped_rule(scope_appointment_type_id=other.service_id)),
        (LocationNotFound, a_scoped_rule(scope_location_id=place)),
        (RoomNotFound, a_scoped_rule(scope_room_id=room)),
        (Invalid, a_scoped_exception(scope_appointment_type_id=other.service_id)),
        (Invalid, a_scoped_exception(scope_location_id=place)),
        (Invalid, a_scoped_exception(scope_room_id=room)),
        (ExceptionNotFound, lambda db: remove_exception(db, mine, exception.id)),
        (
            ExceptionNotFound,
            lambda db: change_exception(db, mine, exception.id, {"reason": "X"}),
        ),
    ]
    for refusal, step in refused:
        with pytest.raises(refusal):
            await do(database, step)


async def test_the_database_itself_lets_nobody_name_what_is_anothers(
    database: Database, owner_url: str
) -> None:
    practice = await a_practice(database)
    other = await a_practice(database, rooms=[NewRoom(name="1")])

    for table, column, value in (
        ("schedule_rules", "scope_location_id", other.location_id),
        ("schedule_rules", "scope_room_id", other.room_ids[0]),
        ("schedule_rules", "scope_appointment_type_id", other.service_id),
        ("appointment_types", "default_location_id", other.location_id),
        ("appointment_types", "default_room_id", other.room_ids[0]),
        ("resources", "location_id", other.location_id),
    ):
        async with database.reading() as db:
            with pytest.raises(Exception, match="violates foreign key constraint"):
                await db.execute(
                    f"UPDATE {table} SET {column} = $1 WHERE provider_id = $2",
                    value,
                    practice.provider_id,
                )


async def test_every_fault_of_a_rule_is_named(database: Database) -> None:
    practice = await a_practice(database)

    def a_break(start: int, end: int) -> NewBreak:
        return NewBreak(start_minute=start, end_minute=end)

    rules = [
        a_rule(1, start_minute=600, end_minute=600),
        a_rule(1, breaks=[a_break(540, 550)]),
        a_rule(1, breaks=[a_break(600, 600), a_break(500, 550), a_break(710, 730)]),
        a_rule(1, breaks=[a_break(600, 620), a_break(610, 630)]),
    ]
    with pytest.raises(Invalid) as refusal:
        await do(database, lambda db: add_rules(db, practice.provider_id, rules))

    assert [(fault.path, fault.code) for fault in refusal.value.errors] == [
        ("0.workEndLocal", "END_BEFORE_START"),
        ("2.breaks.0.breakEndLocal", "END_BEFORE_START"),
        ("2.breaks.1", "BREAK_OUTSIDE_WINDOW"),
        ("2.breaks.2", "BREAK_OUTSIDE_WINDOW"),
        ("3.breaks.1", "BREAK_OVERLAP"),
    ]
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM schedule_rules") == 7


async def test_an_exception_ends_after_it_starts(database: Database) -> None:
    practice = await a_practice(database)
    start = in_days(3)
    new = NewException(kind=ExceptionKind.BLOCKED, starts_at=start, ends_at=start)

    with pytest.raises(Invalid):
        await do(database, lambda db: add_exception(db, practice.provider_id, new))
