"""Whatever happens, and in whatever order: who remembers answers as who has just been started.

The clock is the test's: in its database ``now()`` says what a table says.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from fastapi import FastAPI

from availability.answers import Answers
from availability.app import make_app
from availability.domain.resources import Kind, Mode
from availability.domain.schedule import ExceptionKind
from availability.learning import Memory
from availability.use_cases.appointment_types import NewAppointmentType, add_appointment_type
from availability.use_cases.exceptions import NewException, add_exception, remove_exception
from availability.use_cases.providers import change_provider
from availability.use_cases.resources import NewResource, add_resource, change_resource
from availability.use_cases.rules import add_rules
from shared.db import Database
from shared.events.booking import AppointmentEvent
from shared.http import AsyncClient
from shared.settings import ServiceSettings
from shared.testing.api import client_of
from shared.testing.tokens import MakeToken

from .builders import MINUTE, Practice, a_booking, a_practice, a_rule, later, receive
from .test_calendars import broken, busy, connected

ZONE = "America/New_York"
STEPS = 45
DAYS = 12
USERS = [uuid4() for _ in range(3)]

_CLOCK = """
CREATE SCHEMA clock;
CREATE TABLE clock.face (shown timestamptz);
INSERT INTO clock.face VALUES (pg_catalog.now());
CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT shown FROM clock.face';
GRANT USAGE ON SCHEMA clock TO PUBLIC;
GRANT SELECT, UPDATE ON clock.face TO PUBLIC;
"""


def before_a_change_of_the_clock() -> datetime:
    """Some days before, so that what is asked for has it in its midst."""
    at = datetime.now(UTC).replace(hour=14, minute=7, second=20, microsecond=0)
    while (
        at.astimezone(ZoneInfo(ZONE)).utcoffset()
        == (at + timedelta(days=5)).astimezone(ZoneInfo(ZONE)).utcoffset()
    ):
        at += timedelta(days=1)
    return at


@dataclass
class World:
    database: Database
    practice: Practice
    other: Practice
    """Another service of the same provider, with longer buffers."""
    dice: random.Random
    now: datetime
    appointments: list[tuple[Practice, AppointmentEvent]] = field(default_factory=list)
    exceptions: list[UUID] = field(default_factory=list)
    connection: UUID = field(default_factory=uuid4)
    count: int = 0

    def some_time(self) -> datetime:
        minutes = self.dice.randrange(0, (DAYS + 2) * 24 * 60, 5)
        return self.now.replace(second=0) + minutes * MINUTE

    async def book(self) -> None:
        practice = self.dice.choice([self.practice, self.other])
        status = self.dice.choice(["held", "held", "confirmed"])
        booking = a_booking(
            practice,
            self.some_time(),
            status,
            user_id=self.dice.choice(USERS),
            units=self.dice.sample(list(practice.unit_ids), self.dice.choice([1, 2])),
            hold_expires_at=self.now + self.dice.randrange(10, 6000) * timedelta(seconds=1),
        )
        await self._receive(practice, booking)

    async def book_soon_offered(self) -> None:
        """A start on the grid, so that its holder sees it as theirs."""
        start = self.now.replace(hour=self.dice.randrange(24), minute=30, second=0)
        start += timedelta(days=self.dice.randrange(1, DAYS))
        held_until = self.now + timedelta(minutes=self.dice.randrange(1, 30))
        booking = a_booking(
            self.practice,
            start,
            "held",
            user_id=self.dice.choice(USERS),
            hold_expires_at=held_until,
        )
        await self._receive(self.practice, booking)

    async def follow_up(self) -> None:
        """An appointment is confirmed, cancelled, held longer, or moved to another day."""
        if not self.appointments:
            return
        number = self.dice.randrange(len(self.appointments))
        practice, before = self.appointments.pop(number)
        status = self.dice.choice(["held", "confirmed", "cancelled", "moved"])
        changes: dict[str, Any] = {"hold_expires_at": None}
        if status == "held":
            changes = {"hold_expires_at": self.now + timedelta(minutes=20)}
        if status == "moved":
            start = self.some_time()
            moved = a_booking(
                practice, start, id=before.id, user_id=before.user_id, version=before.version + 1
            )
            await self._receive(practice, moved)
        else:
            await self._receive(practice, later(before, practice, status, **changes))

    async def _receive(self, practice: Practice, booking: AppointmentEvent) -> None:
        await receive(self.database, booking)
        self.appointments.append((practice, booking))

    async def calendar(self) -> None:
        self.count += 1
        moment = self.now - timedelta(minutes=self.dice.choice([0, 30, 58]))
        start = self.some_time()
        hours = timedelta(hours=self.dice.choice([1, 30]))
        event: Any = self.dice.choice(
            [
                busy(self.practice, self.connection, self.count, as_of=moment),
                busy(
                    self.practice,
                    self.connection,
                    self.count,
                    ("a", start, start + hours),
                    as_of=moment,
                    start=self.now - timedelta(days=30),
                    end=self.now + timedelta(days=60),
                ),
                broken(self.practice, self.connection, self.count),
                connected(self.practice, self.connection, self.count),
            ]
        )
        await receive(self.database, event)

    async def exception(self) -> None:
        async with self.database.orm_transaction() as db:
            if self.exceptions and self.dice.random() < 0.4:
                await remove_exception(db, self.practice.provider_id, self.exceptions.pop())
                return
            start = self.some_time()
            kind = self.dice.choice(list(ExceptionKind))
            hours = timedelta(hours=self.dice.choice([2, 20]))
            new = NewException(kind=kind, starts_at=start, ends_at=start + hours)
            added = await add_exception(db, self.practice.provider_id, new)
            self.exceptions.append(added.id)

    async def rule(self) -> None:
        async with self.database.orm_transaction() as db:
            rule = a_rule(
                self.dice.randrange(1, 8),
                timezone=ZONE,
                start_minute=self.dice.randrange(0, 600, 5),
                end_minute=self.dice.randrange(605, 1440, 5),
                slot_interval_minutes=45,
                priority=self.dice.randrange(1, 9),
            )
            await add_rules(db, self.practice.provider_id, [rule])

    async def unit(self) -> None:
        async with self.database.orm_transaction() as db:
            if self.dice.random() < 0.5:
                new = NewResource(kind=Kind.STAFF, label=f"One more {self.dice.random()}")
                added = await add_resource(db, self.practice.provider_id, new)
                if self.dice.random() < 0.5:
                    await change_resource(
                        db, self.practice.provider_id, added.id, {"is_active": False}
                    )
            else:
                policy = self.dice.choice(["shown", "marked", "closed"])
                await change_provider(
                    db, self.practice.provider_id, {"unhealthy_calendar_policy": policy}
                )

    async def time_passes(self) -> None:
        seconds = self.dice.choice([1, 20, 59, 61, 600, 3601, 30000])
        await self.set_clock(self.now + timedelta(seconds=seconds))

    async def set_clock(self, now: datetime) -> None:
        self.now = now
        async with self.database.transaction() as db:
            await db.execute("UPDATE clock.face SET shown = $1", now)

    def some_change(self) -> Callable[[], Awaitable[None]]:
        often = [self.book, self.book_soon_offered, self.follow_up, self.time_passes]
        return self.dice.choice([*often * 3, self.calendar, self.exception, self.rule, self.unit])

    def questions(self) -> list[str]:
        today = self.now.date()
        found = []
        for practice in (self.practice, self.other):
            for query in (
                f"from={today}&to={today + timedelta(days=DAYS)}",
                f"from={today + timedelta(days=2)}&to={today + timedelta(days=4)}"
                "&timezone=Asia/Kathmandu&status=available,booked",
            ):
                found.append(f"{practice.path()}&{query}")
            found.append(f"{practice.path('/next')}&limit=40")
        return found


@pytest.fixture
async def world(database: Database, owner_url: str, request: pytest.FixtureRequest) -> World:
    owner = await asyncpg.connect(owner_url)
    await owner.execute(_CLOCK)
    await owner.close()
    practice = await a_practice(
        database,
        timezone=ZONE,
        staff=2,
        rule={"start_minute": 0, "end_minute": 1440},
        max_future_days=DAYS,
        min_notice_minutes=90,
        buffer_after_minutes=10,
    )
    async with database.orm_transaction() as db:
        long = await add_appointment_type(
            db,
            practice.provider_id,
            NewAppointmentType(
                slug="long",
                name="Long",
                mode=Mode.PHONE,
                duration_minutes=240,
                buffer_before_minutes=180,
                buffer_after_minutes=240,
                max_future_days=DAYS,
            ),
        )
    minutes = [240 * MINUTE, 180 * MINUTE, 240 * MINUTE]
    other = Practice(
        practice.provider_id, long.id, Mode.PHONE, *minutes, None, [], practice.unit_ids
    )
    now = before_a_change_of_the_clock()
    made = World(database, practice, other, random.Random(request.node.name), now)
    await made.set_clock(now)
    return made


@dataclass
class Process:
    app: FastAPI
    client: AsyncClient

    def forget(self) -> None:
        self.app.state.memory, self.app.state.answers = Memory(), Answers()


@pytest.fixture
async def processes(
    settings_values: dict[str, Any], database_url: str, make_token: MakeToken
) -> AsyncIterator[tuple[Process, Process]]:
    url = f"{database_url}?search_path=clock,pg_catalog,public"
    settings = ServiceSettings(**settings_values | {"database_url": url})
    warm, cold = make_app(settings), make_app(settings)
    token = make_token("patient", uuid4())
    async with client_of(warm, token=token) as one, client_of(cold, token=token) as two:
        yield Process(warm, one), Process(cold, two)


@pytest.mark.parametrize("number", range(4))
async def test_who_remembers_answers_as_who_knows_nothing(
    number: int,
    world: World,
    processes: tuple[Process, Process],
    make_token: MakeToken,
) -> None:
    warm, cold = processes
    readers = [{"Authorization": f"Bearer {make_token('patient', id_)}"} for id_ in USERS]
    happened, seen = [], set()
    for _ in range(STEPS):
        change = world.some_change()
        await change()
        happened.append(change.__name__)
        if world.dice.random() < 0.3:
            continue
        for path in world.questions():
            if world.dice.random() < 0.3:
                continue
            headers = world.dice.choice(readers)
            cold.forget()
            kept = await warm.client.get(path, headers=headers)
            fresh = await cold.client.get(path, headers=headers)
            assert kept.status_code == 200, kept.text
            assert kept.content == fresh.content, (path, happened)
            assert kept.headers.get("etag") == fresh.headers.get("etag"), (path, happened)
            seen.add(kept.content)
        provider_ids = [str(world.practice.provider_id)]
        span = {"from": f"{world.now:%Y-%m-%dT%H:%M:%SZ}"}
        cold.forget()
        pages = [
            await each.client.post(
                "/v1/availability/search",
                json={"providerIds": provider_ids, "limit": 50} | span,
                headers=readers[0],
            )
            for each in (warm, cold)
        ]
        assert pages[0].status_code == 200, pages[0].text
        assert pages[0].content == pages[1].content, happened
    assert len(seen) > STEPS
    assert any(b'"heldByYou":true' in each for each in seen)


@pytest.mark.parametrize("policy", ["closed", "marked"])
async def test_a_calendar_that_turns_stale_with_time_is_noticed(
    policy: str, world: World, processes: tuple[Process, Process]
) -> None:
    warm, cold = processes
    async with world.database.orm_transaction() as db:
        provider_id = world.practice.provider_id
        await change_provider(db, provider_id, {"unhealthy_calendar_policy": policy})
    read_at = world.now - timedelta(minutes=58)
    await receive(
        world.database, busy(world.practice, world.connection, 1, as_of=read_at, end=world.now)
    )
    path = world.questions()[0]
    before = await warm.client.get(path)

    await world.set_clock(world.now + timedelta(minutes=3))
    kept = await warm.client.get(path)

    assert before.json()["sources"][0]["healthy"]
    assert not kept.json()["sources"][0]["healthy"]
    assert kept.content == (await cold.client.get(path)).content


async def test_a_day_that_comes_within_the_horizon_is_not_taken_for_a_closed_one(
    world: World, processes: tuple[Process, Process]
) -> None:
    warm, cold = processes
    today = world.now.date()
    path = f"{world.practice.path()}&from={today}&to={today + timedelta(days=DAYS + 5)}"
    before = await warm.client.get(path)

    await world.set_clock(world.now + timedelta(days=2))
    kept = await warm.client.get(path)

    assert kept.json()["timeslots"][-1]["start"] > before.json()["timeslots"][-1]["start"]
    assert kept.content == (await cold.client.get(path)).content
