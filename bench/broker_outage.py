"""People book while the broker is off; then it comes back, and what has waited is delivered."""

import asyncio
import json
import random
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import aiohttp
import asyncpg

from bench.running_system import (
    RUN_FOLDER,
    Clinic,
    Person,
    Slot,
    introduced,
    processor_seconds,
    spread,
)

REPORT_EVERY = 60.0
SERVICES = ("availability", "bookings", "reservations", "notifications", "calendar-sync")


class Outage:
    """What is seen from outside while it lasts."""

    def __init__(self, clinic: Clinic, session: aiohttp.ClientSession) -> None:
        self._clinic = clinic
        self._session = session
        self._databases: list[Any] = []
        self.answers: Counter[str] = Counter()
        self.times: list[float] = []

    async def connect(self) -> None:
        urls = self._clinic.demo["databases"]
        self._databases = [await asyncpg.connect(urls[service]) for service in SERVICES]

    async def backlog(self) -> int:
        """Events that are committed and not published, in all outboxes."""
        counted = [
            await database.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL")
            for database in self._databases
        ]
        return sum(counted)

    async def clock(self) -> datetime:
        now: datetime = await self._databases[0].fetchval("SELECT clock_timestamp()")
        return now

    async def drained(self, since: datetime) -> list[tuple[str, int, float]]:
        """By service: how many events had waited at that instant, and how long they took to leave,
        from the first to the last."""
        found = []
        for service, database in zip(SERVICES, self._databases, strict=True):
            row = await database.fetchrow(
                "SELECT count(*), extract(epoch FROM max(published_at) - min(published_at))::float "
                "FROM outbox WHERE published_at > $1 AND occurred_at <= $1",
                since,
            )
            if row[0] > 1:
                found.append((service, row[0], row[1]))
        return found

    async def flows(self) -> bool:
        """Whether anything has been published in the last second."""
        just_now = "SELECT count(*) FROM outbox WHERE published_at > now() - interval '1 second'"
        return any([await database.fetchval(just_now) for database in self._databases])

    async def book(self, slot: Slot, person: Person) -> None:
        began = time.perf_counter()
        status, body = await self._clinic.reserve(slot, person)
        step = "reserve"
        if status == 201:
            step, token = "confirm", {"reservationToken": body["reservationToken"]}
            status, body = await self._clinic.call(
                "POST", "/v1/bookings", person, token, Idempotency_Key=uuid.uuid4().hex
            )
        self.times.append(time.perf_counter() - began)
        self.answers[f"{step} {status} {body.get('code', '')}".strip()] += 1

    async def ready(self, process: str) -> str:
        ports = json.loads((RUN_FOLDER / "ports.json").read_text())
        try:
            async with self._session.get(f"http://127.0.0.1:{ports[process]}/readyz") as answer:
                return f"{answer.status} {await answer.text()}"
        except aiohttp.ClientError as error:
            return type(error).__name__

    async def tell(self, since: float) -> None:
        print(f"{time.monotonic() - since:6.0f} s  {dict(self.answers)}")
        print(f"          waiting in outboxes: {await self.backlog()}")
        for process in ("bookings-api", "bookings-worker"):
            print(f"          {process}: {await self.ready(process)}", flush=True)


async def broker_outage(
    clinic: Clinic, session: aiohttp.ClientSession, seconds: float, per_second: float
) -> None:
    people = await introduced(clinic, 400)
    slots = [
        slot
        for provider in clinic.demo["providers"]
        for slot in await clinic.slots(provider, provider["services"][0], people[0])
    ]
    random.shuffle(slots)
    outage = Outage(clinic, session)
    await outage.connect()
    await _supervisor("stop", "servers:rabbitmq")
    print(f"the broker is off for {seconds:.0f} s; {len(slots)} timeslots are free")
    began = time.monotonic()
    await _book_until(began + seconds, outage, slots, people, per_second)
    print(f"reserve + confirm meanwhile: {spread(outage.times)}")

    used, started, since = processor_seconds(), time.monotonic(), await outage.clock()
    await _supervisor("start", "servers:rabbitmq")
    while not await outage.flows():  # noqa: ASYNC110 -- nobody tells
        await asyncio.sleep(0.01)
    print(f"the first event left {time.monotonic() - started:.1f} s after the broker's start")
    while await outage.backlog():  # noqa: ASYNC110 -- nobody tells
        await asyncio.sleep(0.01)
    for service, events, took in await outage.drained(since):
        worked = processor_seconds()[f"{service}-worker"] - used[f"{service}-worker"]
        print(
            f"{service}: {events} events in {took:.1f} s, {events / took:.0f}/s; its worker used "
            f"{worked:.1f} s of processor time, also for what it was told"
        )
    await outage.tell(began)


async def _book_until(
    end: float, outage: Outage, slots: Sequence[Slot], people: Sequence[Person], per_second: float
) -> None:
    began = told = time.monotonic()
    tasks = []
    for number, slot in enumerate(slots):
        due = began + number / per_second
        if due >= end:
            break
        while (now := time.monotonic()) < due:  # noqa: ASYNC110 -- it is the clock
            await asyncio.sleep(min(due - now, 0.1))
        if now >= told + REPORT_EVERY:
            told = now
            await outage.tell(began)
        tasks.append(asyncio.create_task(outage.book(slot, people[number % len(people)])))
    await asyncio.gather(*tasks)
    await asyncio.sleep(max(0.0, end - time.monotonic()))
    await outage.tell(began)


async def _supervisor(*words: str) -> None:
    await asyncio.to_thread(
        subprocess.run,
        [
            *(sys.executable, "-W", "ignore", "-m", "supervisor.supervisorctl"),
            *("-s", f"unix://{RUN_FOLDER / 'supervisor.sock'}", *words),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
