"""How long after its commit an event reaches the clients that watch, over all that lies between.

Outbox, relay, RabbitMQ, consumer, history, one API process, clients over
HTTP. Each booking is told to its patient, and changes the times of its provider, which all who
watch that provider are told.
"""

import asyncio
import os
import random
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

from bench.figures import Row, latencies
from bench.stage import Stage
from notifications.realtime.consumers import HANDLERS
from notifications.realtime.telling import tell_what_waits
from shared.db import Database
from shared.events.availability import AvailabilityChanged, TimeslotChange
from shared.events.booking import BookingConfirmed, Change
from shared.messaging import outbox
from shared.messaging.broker import connected
from shared.messaging.consumer import Consumer
from shared.messaging.relay import Relay
from shared.messaging.topology import Queues
from shared.observability import configure_logging
from shared.worker import Timer, in_transaction

CLIENTS = 1000
PROVIDERS = 40
BOOKINGS_PER_SECOND = 50
SECONDS = 20.0
TIMESLOTS_TOUCHED = 3

_TYPES = [kind.type for kind in HANDLERS]
_TOLD = re.compile(rb'event: (booking\.confirmed|availability\.changed)\n.*?"version":(\d+)')


@dataclass
class Delays:
    """When each event was committed, and how long after that each client had it, in seconds."""

    committed: dict[int, float] = field(default_factory=dict)
    of_bookings: list[float] = field(default_factory=list)
    of_times: list[float] = field(default_factory=list)
    too_early: list[tuple[bytes, int, float]] = field(default_factory=list)

    def note(self, event: bytes, version: int, at: float) -> None:
        committed = self.committed.get(version)
        if committed is None:  # the news was quicker than the return of the commit
            self.too_early.append((event, version, at))
            return
        kind = self.of_bookings if event.startswith(b"booking") else self.of_times
        kind.append(max(at - committed, 0.0))

    def settle(self) -> None:
        early, self.too_early = self.too_early, []
        for event, version, at in early:
            self.note(event, version, at)


class Watcher(asyncio.Protocol):
    """Reads its stream and notes when each event came."""

    def __init__(self, request: bytes, delays: Delays, ready: Callable[[], None]) -> None:
        self._request = request
        self._delays = delays
        self._ready = ready
        self._buffer = b""
        self._is_ready = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        *blocks, self._buffer = (self._buffer + data).split(b"\n\n")
        for block in blocks:
            if (told := _TOLD.search(block)) is not None:
                self._delays.note(told[1], int(told[2]), now)
            elif not self._is_ready and b"event: ready" in block:
                self._is_ready = True
                self._ready()


def _booking(version: int, patient: UUID, provider: UUID) -> BookingConfirmed:
    now = datetime.now(UTC)
    start = now + timedelta(days=7)
    return BookingConfirmed(
        id=uuid4(),
        version=version,
        status="confirmed",
        user_id=patient,
        provider_id=provider,
        provider_name="A provider",
        service_id=provider,
        service_title="A visit",
        timeslot_id="t" * 40,
        start=start,
        end=start + timedelta(minutes=30),
        mode="in_person",
        location_id=None,
        location_name=None,
        location_address=None,
        room_id=None,
        price_cents=5000,
        currency="EUR",
        booked_from="patient_portal",
        hold_expires_at=None,
        pending_expires_at=None,
        patient_timezone="Europe/Athens",
        provider_timezone="Europe/Athens",
        cancellation=None,
        rescheduled_from=None,
        rescheduled_to=None,
        reschedule_count=0,
        claims=[],
        change=Change(action="confirmed", actor_type="patient", actor_id=patient, at=now),
        created_at=now,
        updated_at=now,
    )


def _times(version: int, provider: UUID) -> AvailabilityChanged:
    start = datetime.now(UTC) + timedelta(days=7)
    return AvailabilityChanged(
        provider_id=provider,
        version=version,
        start=start,
        end=start + timedelta(minutes=30),
        is_complete=True,
        timeslots=[
            TimeslotChange(
                timeslot_id=f"{number:040}",
                service_id=provider,
                start=start,
                status="booked",
                capacity_left=0,
            )
            for number in range(TIMESLOTS_TOUCHED)
        ],
    )


async def run(source: Stage, notifications: Stage) -> list[Row]:
    exchange = f"bench-{uuid4().hex}"
    amqp_url = os.environ["TEST_AMQP_URL"]
    patients = [uuid4() for _ in range(CLIENTS)]
    providers = [uuid4() for _ in range(PROVIDERS)]
    delays = Delays()
    async with notifications.serving("notifications.app:make_app") as port:
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.realtime", "worker", exchange),
            env=os.environ | {"SOURCE": source.database_url, "HERE": notifications.database_url},
        )
        try:
            watchers = await _watch(notifications, port, patients, providers, delays)
            await _bind(amqp_url, exchange)
            await _book(source.database, patients, providers, delays)
            await _all_heard(delays)
            for watcher in watchers:
                watcher.abort()
        finally:
            worker.terminate()
            await worker.wait()
            await _unbind(amqp_url, exchange)
    return [
        *latencies("commit → a patient's stream", delays.of_bookings, p99_ms=1000),
        *latencies("commit → the streams of 25 watchers", delays.of_times, p99_ms=1000),
    ]


async def _watch(
    on: Stage, port: int, patients: list[UUID], providers: list[UUID], delays: Delays
) -> list[asyncio.Transport]:
    waiting, all_ready = len(patients), asyncio.Event()

    def ready() -> None:
        nonlocal waiting
        waiting -= 1
        if not waiting:
            all_ready.set()

    requests = [
        f"GET /v1/realtime?channels=user.{patient}.bookings,"
        f"provider.{providers[number % PROVIDERS]}.availability HTTP/1.1\r\nHost: bench\r\n"
        f"Authorization: Bearer {on.token(sub=patient)}\r\n\r\n".encode()
        for number, patient in enumerate(patients)
    ]
    transports = []
    for request in requests:
        transport, _ = await asyncio.get_running_loop().create_connection(
            partial(Watcher, request, delays, ready), "127.0.0.1", port
        )
        transports.append(transport)
    async with asyncio.timeout(60):
        await all_ready.wait()
    return transports


async def _book(
    database: Database, patients: list[UUID], providers: list[UUID], delays: Delays
) -> None:
    pause = 1 / BOOKINGS_PER_SECOND
    began = time.perf_counter()
    for version in range(1, round(SECONDS * BOOKINGS_PER_SECOND) + 1):
        await asyncio.sleep(max(began + version * pause - time.perf_counter(), 0))
        provider = random.choice(providers)
        async with database.transaction() as db:
            await outbox.put(
                db,
                _booking(version, random.choice(patients), provider),
                _times(version, provider),
            )
        delays.committed[version] = time.perf_counter()


async def _all_heard(delays: Delays) -> None:
    until = time.perf_counter() + 10
    while len(delays.of_bookings) < len(delays.committed) and time.perf_counter() < until:
        delays.settle()
        await asyncio.sleep(0.1)
    missing = len(delays.committed) - len(delays.of_bookings)
    if missing:
        raise RuntimeError(f"{missing} of {len(delays.committed)} bookings were not heard of")


async def _bind(amqp_url: str, exchange: str) -> None:
    async with connected(amqp_url, name="bench") as connection:
        await Queues(exchange).declare(connection, exchange, _TYPES)


async def _unbind(amqp_url: str, exchange: str) -> None:
    queues = Queues(exchange)
    async with connected(amqp_url, name="bench") as connection:
        channel = await connection.channel()
        for queue in (queues.main, queues.parked, *queues.retries):
            await channel.queue_delete(queue)
        await channel.exchange_delete(exchange)


async def _work(exchange: str) -> None:
    """What two workers do: the relay of one service, the consumer of the other."""
    configure_logging("bench", "WARNING")
    amqp_url, source = os.environ["TEST_AMQP_URL"], os.environ["SOURCE"]
    async with Database.open(os.environ["HERE"], application_name="bench") as database:
        relay = Relay(
            service="bench",
            database_url=source,
            amqp_url=amqp_url,
            exchange=exchange,
            listeners={exchange: _TYPES},
        )
        consumer = Consumer(
            queue=exchange,
            handlers=HANDLERS,
            database=database,
            amqp_url=amqp_url,
            exchange=exchange,
        )
        timer = Timer(
            "bench", timedelta(milliseconds=100), in_transaction(database, tell_what_waits)
        )
        await asyncio.gather(relay.run(), consumer.run(), timer.run())


async def main() -> None:
    with suppress(asyncio.CancelledError):
        await _work(sys.argv[2])


if __name__ == "__main__":
    asyncio.run(main())
