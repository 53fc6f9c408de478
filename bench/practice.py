"""The standard work: a busy practice with everything on, and its fortnight with a clock change."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4, uuid5
from zoneinfo import ZoneInfo

from availability.domain.resources import Kind, Mode
from availability.domain.schedule import ExceptionKind
from availability.notes import noted
from availability.use_cases.appointment_types import NewAppointmentType, add_appointment_type
from availability.use_cases.exceptions import NewException, add_exception
from availability.use_cases.locations import NewLocation, NewRoom, add_location, add_room
from availability.use_cases.providers import NewProvider, create_provider
from availability.use_cases.resources import NewResource, add_resource
from availability.use_cases.rules import NewBreak, NewRule, add_rules
from shared.db import Connection, Database

ZONE = "Europe/Athens"
UNITS = 3
DURATION, BEFORE, AFTER = (timedelta(minutes=minutes) for minutes in (30, 5, 10))


@dataclass(frozen=True)
class Practice:
    provider_id: UUID
    service_id: UUID
    units: Sequence[tuple[UUID, str]]
    """Id and kind, as many of each of three kinds."""


def fortnight(today: date | None = None) -> date:
    """The first of 14 days with a change of the clock in their middle, the next that there is."""
    on = (today or datetime.now(UTC).date()) + timedelta(days=8)
    while _offset(on) == _offset(on + timedelta(days=1)):
        on += timedelta(days=1)
    return on - timedelta(days=6)


def _offset(on: date) -> timedelta | None:
    return datetime(on.year, on.month, on.day, tzinfo=ZoneInfo(ZONE)).utcoffset()


async def a_practice(database: Database, first_on: date, *, simple: bool = False) -> Practice:
    """Rules of two priorities with breaks, buffers, exceptions, busy times and three resources."""
    async with database.orm_transaction() as db:
        provider = await create_provider(
            db, NewProvider(name="Dr. Bench", timezone=ZONE, parallel_sessions=UNITS)
        )
        location = await add_location(
            db, provider.id, NewLocation(name="Here", city="Athens", timezone=ZONE)
        )
        for number in range(UNITS):
            await add_room(db, provider.id, location.id, NewRoom(name=f"Room {number}"))
            scope = NewResource(kind=Kind.EQUIPMENT, label="laser", location_id=location.id)
            await add_resource(db, provider.id, scope)
        service = await add_appointment_type(
            db,
            provider.id,
            NewAppointmentType(
                slug="laser",
                name="Laser",
                mode=Mode.IN_PERSON,
                duration_minutes=DURATION // timedelta(minutes=1),
                buffer_before_minutes=BEFORE // timedelta(minutes=1),
                buffer_after_minutes=AFTER // timedelta(minutes=1),
                max_future_days=365,
                required_equipment=["laser"],
            ),
        )
        daily = [
            NewRule(
                timezone=ZONE,
                weekday=weekday,
                start_minute=start * 60,
                end_minute=end * 60,
                breaks=[NewBreak(start_minute=start * 60 + 150, end_minute=start * 60 + 165)],
            )
            for weekday in range(1, 8)
            for start, end in ((8, 13), (14, 20))
        ]
        early = [
            NewRule(timezone=ZONE, weekday=weekday, start_minute=420, end_minute=600, priority=5)
            for weekday in (2, 4)
        ]
        await add_rules(db, provider.id, daily if simple else daily + early)
        if not simple:
            for days, kind, hour in (
                *((days, ExceptionKind.BLOCKED, 12) for days in (1, 4, 9)),
                *((days, ExceptionKind.AVAILABLE, 20) for days in (2, 11)),
            ):
                start = _at(first_on, days, hour)
                new = NewException(kind=kind, starts_at=start, ends_at=start + timedelta(hours=1))
                await add_exception(db, provider.id, new)
    async with database.transaction() as connection:
        if not simple:
            await _make_busy(connection, provider.id, first_on)
        units = await connection.fetch(
            "SELECT id, kind FROM resources WHERE provider_id = $1 ORDER BY kind, id", provider.id
        )
    return Practice(provider.id, service.id, [(unit["id"], unit["kind"]) for unit in units])


async def book(
    connection: Connection, practice: Practice, first_on: date, days: int, most: int
) -> int:
    """Appointments all over these days, straight into the read model; how many there was room for.

    With all of them no other one fits in.
    """
    by_kind: dict[str, list[UUID]] = {}
    for unit_id, kind in practice.units:
        by_kind.setdefault(kind, []).append(unit_id)
    starts = [
        (day, hour, unit)
        for day in range(days)
        for hour in (7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19)
        for unit in range(UNITS)
    ]
    random.Random(1).shuffle(starts)
    appointments, claims = [], []
    for day, hour, unit in starts[:most]:
        id_ = uuid4()
        start = _at(first_on, day, hour) + timedelta(minutes=15)
        fixed = (id_, 1, "confirmed", practice.provider_id, id_, practice.service_id, "x")
        appointments.append((*fixed, "in_person", start, start + DURATION))
        claims += [
            (id_, ids[unit], practice.provider_id, kind, start - BEFORE, start + DURATION + AFTER)
            for kind, ids in by_kind.items()
        ]
    names = "id version status provider_id user_id service_id timeslot_id mode starts_at ends_at"
    await connection.copy_records_to_table(
        "appointments", records=appointments, columns=names.split()
    )
    names = "appointment_id resource_id provider_id kind starts_at ends_at"
    await connection.copy_records_to_table("claims", records=claims, columns=names.split())
    return len(appointments)


class Bookings:
    """One appointment of each day of each of some practices, cancelled and made again in turns.

    They must have been booked before.
    """

    def __init__(self, database: Database, practices: Sequence[Practice]) -> None:
        self._database = database
        self.practices = practices
        self._by_day: list[list[tuple[UUID, UUID]]] = []
        self._turn = 0

    async def choose(self) -> None:
        found: dict[UUID, dict[date, UUID]] = {each.provider_id: {} for each in self.practices}
        async with self._database.reading() as db:
            for row in await db.fetch(_CLAIMED, list(found)):
                found[row["provider_id"]].setdefault(row["on_day"], row["appointment_id"])
            self._claims = {
                id_: [tuple(claim) for claim in await db.fetch(_CLAIMS, id_)]
                for of_provider in found.values()
                for id_ in of_provider.values()
            }
        days = zip(*(list(each.values()) for each in found.values()), strict=False)
        self._by_day = [list(zip(found, ids, strict=True)) for ids in days]

    async def change(self) -> None:
        """With every practice, on the next day."""
        cycle, day = divmod(self._turn, len(self._by_day))
        self._turn += 1
        async with self._database.transaction() as db:
            for provider_id, id_ in self._by_day[day]:
                claims = self._claims[id_]
                if cycle % 2:
                    await db.copy_records_to_table("claims", records=claims, columns=_COLUMNS)
                else:
                    await db.execute("DELETE FROM claims WHERE appointment_id = $1", id_)
                *_, starts_at, ends_at = claims[0]
                await db.execute(_COUNT_NOTED, provider_id, starts_at, ends_at)

    async def restore(self) -> None:
        """Nothing stays cancelled."""
        while self._turn % (2 * len(self._by_day)):
            await self.change()

    async def forget(self) -> None:
        """A change of which nobody has said what it is about."""
        async with self._database.transaction() as db:
            ids = [each.provider_id for each in self.practices]
            await db.execute(_COUNT, ids)


_COLUMNS = ("appointment_id", "resource_id", "provider_id", "kind", "starts_at", "ends_at")
_CLAIMED = """
SELECT provider_id, appointment_id, (starts_at AT TIME ZONE 'Europe/Athens')::date AS on_day
FROM claims WHERE provider_id = ANY ($1) ORDER BY provider_id, starts_at, appointment_id
"""
_CLAIMS = f"SELECT {', '.join(_COLUMNS)} FROM claims WHERE appointment_id = $1"
_COUNT_NOTED = f"""
UPDATE schedule_versions SET version = version + 1,
    notes = {noted("(SELECT $2::timestamptz, $3::timestamptz) AS changed (starts_at, ends_at)")}
WHERE provider_id = $1
"""
_COUNT = "UPDATE schedule_versions SET version = version + 1 WHERE provider_id = ANY ($1)"


async def _make_busy(connection: Connection, provider_id: UUID, first_on: date) -> None:
    calendar = uuid5(provider_id, "calendar")
    await connection.execute(
        "INSERT INTO calendar_sources (connection_id, provider_id, kind, version, state, as_of) "
        "VALUES ($1, $2, 'google', 1, 'connected', now() + interval '1 day')",
        calendar,
        provider_id,
    )
    for day in range(0, 14, 2):
        start = _at(first_on, day, 10)
        await connection.execute(
            "INSERT INTO external_busy_times (id, provider_id, connection_id, external_id, source, "
            "starts_at, ends_at, last_seen_at) VALUES ($1, $2, $3, $4, 'google', $5, $6, now())",
            *(uuid4(), provider_id, calendar, str(day), start, start + timedelta(minutes=20)),
        )


def _at(first_on: date, days: int, hour: int) -> datetime:
    on = first_on + timedelta(days=days)
    local = datetime(on.year, on.month, on.day, hour, tzinfo=ZoneInfo(ZONE))
    return local.astimezone(UTC)
