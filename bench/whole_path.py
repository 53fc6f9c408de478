"""Reserve and confirm as a client does it: nginx, three APIs, and the two calls between them.

No worker runs, so nobody hears of what has happened: a reservation stays open after its
confirmation until the benchmark itself marks it used, and availability shows what is taken as free
(which nobody asks for here).
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from statistics import median
from uuid import UUID

import orjson

from availability.domain.resources import Mode
from availability.domain.timeslot_id import timeslot_id
from availability.use_cases.appointment_types import NewAppointmentType, add_appointment_type
from availability.use_cases.providers import NewProvider, create_provider
from availability.use_cases.rules import NewRule, add_rules
from bench import pgbench
from bench.clinic import PATIENTS, PROVIDERS, some_patients, told, until
from bench.figures import Row, at_least, at_most, percentile
from bench.load import CONNECTIONS, Conversation, Pace, converse, post
from bench.stage import CHECKOUT, Stage, a_free_port, answers, stage
from bookings import consumers
from shared.events.registry import EVENT_TYPES

ROUNDS = 3
SECONDS = 2
CALM_SECONDS = 6.0
OPEN_AT_ONCE = 100
"""So many reservations one patient may have: no consumer marks them used between rounds."""


@dataclass
class Town:
    """Providers who are always open, patients, and times that nobody has had."""

    services: list[tuple[UUID, UUID]]
    patients: list[tuple[UUID, str]]
    first: datetime
    _taken: Iterator[int] = field(default_factory=count)

    def pairs(self, seconds: float) -> Conversation:
        for _ in until(seconds):
            number = next(self._taken)
            provider_id, service_id = self.services[number % PROVIDERS]
            _, access = self.patients[number % PATIENTS]
            start = self.first + number // PROVIDERS * timedelta(minutes=30)
            minute = int(start.timestamp()) // 60
            wanted = timeslot_id(provider_id, service_id, None, Mode.PHONE, minute)
            ids = {"providerId": str(provider_id), "serviceId": str(service_id)}
            body = ids | {"timeslotId": wanted}
            headers = {"authorization": f"Bearer {access}"}
            answer = yield post("/v1/reservations", orjson.dumps(body), **headers)
            token = orjson.loads(answer)["reservationToken"]
            body = {"reservationToken": token, "reason": "a cough"}
            yield post("/v1/bookings", orjson.dumps(body), idempotency_key=token, **headers)


async def run() -> list[Row]:
    async with AsyncExitStack() as stack:
        apart, *services = [
            await stack.enter_async_context(stage(name))
            for name in ("bookings", "availability", "bookings", "reservations")
        ]
        availability = services[0]
        same_keys = {"AUTH_JWKS": availability.settings["AUTH_JWKS"]}
        bookings, reservations = (
            replace(each, settings={**each.settings, **same_keys}) for each in services[1:]
        )
        town = await _a_town(availability, bookings)
        port = await stack.enter_async_context(_running(availability, bookings, reservations))
        await _pairs(port, town, 1)
        shares, rates = [], []
        for _ in range(ROUNDS):
            yardstick = await pgbench.pairs_per_second(apart, SECONDS)
            rates.append(await _pairs(port, town, SECONDS))
            shares.append(rates[-1] / yardstick)
            await reservations.as_admin("UPDATE reservations SET status = 'used'")
        rate = median(rates)
        return [
            Row(
                name="reserve and confirm through the gateway, no workers",
                figure=rate,
                unit="/s",
                ratio=median(shares),
                yardstick="pgbench, pairs",
                wanted=at_least(0.08),
            ),
            *await _at_half_that_load(port, town, rate / 2),
        ]


async def _pairs(port: int, town: Town, seconds: float) -> float:
    talks = [town.pairs(seconds) for _ in range(CONNECTIONS)]
    return (await converse(port, talks, status=201)).per_second / 2


async def _at_half_that_load(port: int, town: Town, rate: float) -> list[Row]:
    talks = [town.pairs(CALM_SECONDS) for _ in range(CONNECTIONS)]
    outcome = await converse(port, talks, status=201, pace=Pace(2, CONNECTIONS / rate))
    times = sorted(
        first + second
        for each in outcome.times
        for first, second in zip(each[::2], each[1::2], strict=True)
    )
    p50, p99 = (percentile(times, share) * 1000 for share in (0.5, 0.99))
    load = f"at {len(times) / CALM_SECONDS:.0f} pairs/s"
    return [
        Row(name=f"{load}, p50", figure=p50, unit="ms"),
        Row(
            name=f"{load}, p99",
            figure=p99,
            unit="ms",
            ratio=p99 / p50,
            yardstick="their p50",
            wanted=at_most(5),
        ),
    ]


async def _a_town(availability: Stage, bookings: Stage) -> Town:
    """Set up in availability; bookings hears of it from that outbox, as a worker would tell it."""
    services = []
    for number in range(PROVIDERS):
        async with availability.database.orm_transaction() as db:
            provider = await create_provider(db, NewProvider(name=f"Dr. {number}", timezone="UTC"))
            service = await add_appointment_type(
                db,
                provider.id,
                NewAppointmentType(
                    slug="consultation", name="Consultation", mode=Mode.PHONE, max_future_days=365
                ),
            )
            always = [
                NewRule(timezone="UTC", weekday=day, start_minute=0, end_minute=1440)
                for day in range(1, 8)
            ]
            await add_rules(db, provider.id, always)
            services.append((provider.id, service.id))
    async with availability.database.reading() as db:
        told_of = await db.fetch("SELECT type, data FROM outbox ORDER BY position")
    handlers = {kind.type: (kind, handle) for kind, handle in consumers.HANDLERS.items()}
    async with bookings.database.transaction() as db:
        for row in told_of:
            if row["type"] in handlers:
                kind, handle = handlers[row["type"]]
                await handle(db, told(EVENT_TYPES[kind.type].model_validate(row["data"])))
        patients = await some_patients(db)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
    return Town(services, [(id_, availability.token(sub=id_)) for id_ in patients], tomorrow)


@asynccontextmanager
async def _running(availability: Stage, bookings: Stage, reservations: Stage) -> AsyncIterator[int]:
    """The gateway's port."""
    async with (
        availability.serving("availability.app:make_app") as availability_port,
        bookings.serving("bookings.app:make_app") as bookings_port,
    ):
        own = {
            "AVAILABILITY_URL": f"http://127.0.0.1:{availability_port}",
            "BOOKINGS_URL": f"http://127.0.0.1:{bookings_port}",
            "RESERVATION_TOKEN_SECRET": "a-secret-of-reservations-for-benchmarks",
            "MAX_ACTIVE_HOLDS": str(OPEN_AT_ONCE),
        }
        reserving = replace(reservations, settings={**reservations.settings, **own})
        async with reserving.serving("reservations.app:make_app") as reservations_port:
            ports = {
                "availability": availability_port,
                "bookings": bookings_port,
                "reservations": reservations_port,
                "notifications": 1,
                "calendar-sync": 1,
            }
            async with _gateway(
                {name: f"127.0.0.1:{port}" for name, port in ports.items()}
            ) as port:
                yield port


@asynccontextmanager
async def _gateway(upstreams: dict[str, str]) -> AsyncIterator[int]:
    sys.path.append(str(CHECKOUT / "deploy"))
    from local.gateway import Gateway
    from local.prepare import find_nginx

    nginx = find_nginx()
    if nginx is None:
        raise RuntimeError("nginx is not installed")
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(
            nginx=nginx,
            folder=Path(folder) / "gateway",
            port=a_free_port(),
            upstreams=upstreams,
            files=4096,
        )
        gateway.create()
        process = await asyncio.create_subprocess_exec(
            *gateway.command(), stdout=asyncio.subprocess.DEVNULL
        )
        try:
            await answers(gateway.port)
            yield gateway.port
        finally:
            process.terminate()
            await process.wait()
