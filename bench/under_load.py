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
import random
import sys
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import cycle, islice
from typing import Any

import aiohttp
import asyncpg

from bench.broker_outage import broker_outage
from bench.running_system import (
    RUN_FOLDER,
    Clinic,
    Json,
    Person,
    Slot,
    introduced,
    new_people,
    processor_seconds,
    spread,
)

SETTLED = 4.0
BOOKINGS_EACH = 40
"""Of one patient, so that nobody meets the limits of holds."""
LISTENERS = ("availability", "reservations", "notifications", "calendar-sync")


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


def tell_processor(before: Mapping[str, float], after: Mapping[str, float], count: int) -> None:
    each = {name: (used - before.get(name, 0)) * 1000 / count for name, used in after.items()}
    print(f"processor time for each booking: {sum(each.values()):.1f} ms")
    for name, milliseconds in sorted(each.items(), key=lambda item: -item[1]):
        if milliseconds >= 0.1:
            print(f"  {name:28} {milliseconds:5.1f} ms")


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
            await broker_outage(clinic, session, chosen.seconds, chosen.per_second)
        else:
            await rate(clinic, chosen.per_second, chosen.seconds, chosen.give_back)


if __name__ == "__main__":
    asyncio.run(main())
