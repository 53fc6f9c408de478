"""Drives a running system from outside: many people at one timeslot, bookings at a steady rate, or
bookings while the broker is off.

    make run                                    # in another terminal
    python -m bench.under_load stampede --clients 500
    python -m bench.under_load rate --per-second 50 --seconds 15
    python -m bench.under_load rate --per-second 5 --seconds 3600 --give-back
    python -m bench.under_load broker-outage --per-second 4 --seconds 300

Reads `demo.json` of the run folder (`RUN_DIR`, else `.run`).
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import asyncpg

CHECKOUT = Path(__file__).resolve().parents[1]
RUN_FOLDER = Path(os.environ.get("RUN_DIR") or CHECKOUT / ".run")
SETTLED = 4.0
BOOKINGS_EACH = 40
"""Of one patient, so that nobody meets the limits of holds."""
LISTENERS = ("availability", "reservations", "notifications", "calendar-sync")

Json = dict[str, Any]


class Person(NamedTuple):
    id: str
    token: str

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Slot(NamedTuple):
    provider_id: str
    service_id: str
    id: str
    capacity: int


class Clinic:
    """The system under load, as its clients see it."""

    def __init__(self, session: aiohttp.ClientSession, demo: Json) -> None:
        self._session = session
        self._url = demo["baseUrl"]
        self.demo = demo

    async def call(
        self, method: str, path: str, by: Person, body: Json | None = None, **headers: str
    ) -> tuple[int, Json]:
        given = {**by.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        async with self._session.request(
            method, self._url + path, json=body, headers=given
        ) as answer:
            return answer.status, await answer.json()

    async def slots(self, provider: Json, service: Json, by: Person) -> list[Slot]:
        """Timeslots of the next 30 days that do not overlap each other."""
        first = datetime.now(UTC).date() + timedelta(days=1)
        path = (
            f"/v1/providers/{provider['id']}/availability?serviceId={service['id']}"
            f"&from={first}&to={first + timedelta(days=30)}&status=available"
        )
        _, answer = await self.call("GET", path, by)
        found: list[Slot] = []
        end = ""
        for each in answer["timeslots"]:
            if each["start"] >= end:
                found.append(Slot(provider["id"], service["id"], each["id"], each["capacityLeft"]))
                end = each["end"]
        return found

    async def reserve(self, slot: Slot, by: Person) -> tuple[int, Json]:
        wish = {
            "providerId": slot.provider_id,
            "serviceId": slot.service_id,
            "timeslotId": slot.id,
        }
        return await self.call("POST", "/v1/reservations", by, wish)


async def stampede(clinic: Clinic, clients: int) -> None:
    people = new_people(clients)
    provider = clinic.demo["providers"][0]
    slots = await clinic.slots(provider, provider["services"][0], people[0])
    if not slots:
        sys.exit("nothing is free any more: start the system with a new RUN_DIR")
    slot = slots[-1]
    times: list[float] = []
    answers: Counter[str] = Counter()

    async def one(person: Person) -> None:
        began = time.perf_counter()
        status, body = await clinic.reserve(slot, person)
        times.append(time.perf_counter() - began)
        answers[
            f"{status} {body.get('code', '')} {'+alternatives' * bool(body.get('alternatives'))}"
        ] += 1

    await asyncio.gather(*map(one, people))
    print(f"{clients} clients, one timeslot of capacity {slot.capacity}: {dict(answers)}")
    print(f"answered: {spread(times)}")


async def introduced(clinic: Clinic, count: int) -> list[Person]:
    """New people whose contact details are known."""
    limit = asyncio.Semaphore(20)

    async def introduce(person: Person) -> None:
        profile = {"name": "P", "email": f"p{person.id[:8]}@example.org", "timezone": "UTC"}
        async with limit:
            status, _ = await clinic.call("PATCH", f"/v1/patients/{person.id}", person, profile)
            assert status == 200, status

    people = new_people(count)
    await asyncio.gather(*map(introduce, people))
    return people


async def rate(clinic: Clinic, per_second: float, seconds: float, give_back: bool) -> None:
    """Bookings at a steady rate; given back at once where they shall last for hours."""
    count = int(per_second * seconds)
    people = await introduced(clinic, max(400, count // BOOKINGS_EACH))
    slots = [
        slot
        for provider in clinic.demo["providers"]
        for service in provider["services"][:2]
        for slot in await clinic.slots(provider, service, people[0])
    ]
    random.shuffle(slots)
    wanted = count if give_back else min(count, len(slots))
    database = await asyncpg.connect(clinic.demo["databases"]["bookings"])
    since = await database.fetchval("SELECT clock_timestamp()")
    answers: Counter[str] = Counter()
    times: list[float] = []

    async def book(slot: Slot, person: Person) -> None:
        began = time.perf_counter()
        status, body = await clinic.reserve(slot, person)
        step = "reserve"
        if status == 201:
            step = "confirm"
            token = {"reservationToken": body["reservationToken"]}
            status, body = await clinic.call(
                "POST", "/v1/bookings", person, token, Idempotency_Key=uuid.uuid4().hex
            )
        if give_back and status == 201:
            step, path = "cancel", f"/v1/appointments/{body['id']}/cancel"
            status, body = await clinic.call(
                "POST", path, person, {}, Idempotency_Key=uuid.uuid4().hex
            )
        times.append(time.perf_counter() - began)
        answers[f"{step} {status} {body.get('code', '')}".strip()] += 1

    before = processor_seconds()
    began = time.perf_counter()
    tasks = []
    for number, slot in enumerate(islice(cycle(slots), wanted)):
        await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
        tasks.append(asyncio.create_task(book(slot, people[number % len(people)])))
    await asyncio.gather(*tasks)
    took = time.perf_counter() - began
    await asyncio.sleep(SETTLED)
    print(f"{wanted} bookings in {took:.1f} s ({wanted / took:.0f}/s): {dict(answers)}")
    print(f"reserve + confirm{' + cancel' * give_back}: {spread(times)}")
    await tell_latencies(clinic.demo, database, since)
    tell_processor(before, processor_seconds(), wanted)


async def tell_latencies(demo: Json, bookings: Any, since: datetime) -> None:
    events = await bookings.fetch(
        "SELECT id, occurred_at, published_at FROM outbox "
        "WHERE occurred_at > $1 AND type LIKE 'booking.%'",
        since,
    )
    published = [e["published_at"] - e["occurred_at"] for e in events if e["published_at"]]
    waiting = len(events) - len(published)
    print(f"commit -> published: {spread(map(in_seconds, published))}, {waiting} waiting")
    occurred = {event["id"]: event["occurred_at"] for event in events}
    for service in LISTENERS:
        database = await asyncpg.connect(demo["databases"][service])
        rows = await database.fetch(
            "SELECT event_id, received_at FROM inbox WHERE received_at > $1", since
        )
        late = [
            row["received_at"] - occurred[row["event_id"]]
            for row in rows
            if row["event_id"] in occurred
        ]
        print(f"commit -> effect in {service}: {spread(map(in_seconds, late))}, {len(late)} events")
        await database.close()


def in_seconds(length: timedelta) -> float:
    return length.total_seconds()


def new_people(count: int) -> list[Person]:
    """Patients whom nobody knows yet, with tokens."""
    command = [sys.executable, "-m", "local", "token", "--role", "patient", "--count", str(count)]
    output = subprocess.run(
        [*command, "--run-dir", str(RUN_FOLDER)],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT / "deploy")},
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [Person(*line.split()) for line in output.splitlines()]


def processor_seconds() -> dict[str, float]:
    """What each of the system's processes has used so far; PostgreSQL's by database."""
    processes = json.loads((RUN_FOLDER / "processes.json").read_text())
    names: dict[int, str] = {each["pid"]: each["name"] for each in processes}
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    titles: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            titles[int(folder.name)] = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
        used[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    found: dict[str, float] = defaultdict(float)
    for pid, seconds in used.items():
        owner = pid
        while owner not in names and owner in parents:
            owner = parents[owner]
        if owner in names:
            name = names[owner]
            if name == "postgres":
                words = titles[pid].split()
                name += f" {words[2]}" if len(words) > 3 and words[0] == "postgres:" else ""
            found[name] += seconds
    return dict(found)


def tell_processor(before: Mapping[str, float], after: Mapping[str, float], count: int) -> None:
    each = {name: (used - before.get(name, 0)) * 1000 / count for name, used in after.items()}
    print(f"processor time for each booking: {sum(each.values()):.1f} ms")
    for name, milliseconds in sorted(each.items(), key=lambda item: -item[1]):
        if milliseconds >= 0.1:
            print(f"  {name:28} {milliseconds:5.1f} ms")


def spread(values: Iterable[float]) -> str:
    ordered: Sequence[float] = sorted(values)
    if not ordered:
        return "none"
    p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
    return f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, most {ordered[-1] * 1000:.0f} ms"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("stampede").add_argument("--clients", type=int, default=500)
    steady = commands.add_parser("rate")
    steady.add_argument("--per-second", type=float, default=50)
    steady.add_argument("--seconds", type=float, default=15)
    steady.add_argument("--give-back", action="store_true", help="cancel each: slots never end")
    outage = commands.add_parser("broker-outage")
    outage.add_argument("--per-second", type=float, default=4)
    outage.add_argument("--seconds", type=float, default=300)
    chosen = parser.parse_args()
    demo = json.loads((RUN_FOLDER / "demo.json").read_text())
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60)
    ) as session:
        clinic = Clinic(session, demo)
        if chosen.command == "stampede":
            await stampede(clinic, chosen.clients)
        elif chosen.command == "broker-outage":
            # It is made of what is here.
            from bench.broker_outage import broker_outage

            await broker_outage(clinic, session, chosen.seconds, chosen.per_second)
        else:
            await rate(clinic, chosen.per_second, chosen.seconds, chosen.give_back)


if __name__ == "__main__":
    asyncio.run(main())
