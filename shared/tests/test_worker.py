"""A worker process works until it is told to stop, ends what it has begun, and hides nothing."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from shared.http import AsyncClient
from shared.testing.tokens import AUDIENCE, ISSUER, SERVICE_SECRET

_LIMIT = 40

_PROGRAM = """
import asyncio
from datetime import timedelta
import shared.worker
from shared.settings import ServiceSettings
from shared.worker import run_worker

{build}

run_worker("bookings", ServiceSettings(), build)
"""

_IDLE = """
async def build(worker):
    return {"idle": asyncio.Event().wait}
"""


class Process:
    """A worker that runs, and what it has logged."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[dict[str, Any]] = []

    async def until(self, event: str) -> dict[str, Any]:
        """Its first line from now on that tells of ``event``."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_LIMIT):
            while raw := await self._process.stdout.readline():
                self.lines.append(json.loads(raw))
                if self.lines[-1]["event"] == event:
                    return self.lines[-1]
        raise AssertionError(f"ended without {event}: {self.lines}")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        assert self._process.stdout is not None
        async with asyncio.timeout(_LIMIT):
            rest = await self._process.stdout.read()
            self.lines += [json.loads(line) for line in rest.splitlines()]
            return await self._process.wait()


Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def start(jwks_file: Path) -> AsyncIterator[Start]:
    running: list[asyncio.subprocess.Process] = []

    async def start(build: str = _IDLE, **more: str) -> Process:
        settings = {
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
            "AMQP_URL": "amqp://nobody@127.0.0.1:1/",
            "AUTH_ISSUER": ISSUER,
            "AUTH_AUDIENCE": AUDIENCE,
            "AUTH_JWKS": str(jwks_file),
            "SERVICE_SECRET": SERVICE_SECRET,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _PROGRAM.format(build=build),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **settings, **more},
        )
        running.append(process)
        return Process(process)

    yield start
    for process in running:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_ends_when_it_is_told_to(start: Start, number: signal.Signals) -> None:
    worker = await start()
    started = await worker.until("worker_started")

    worker.send(number)

    assert await worker.ended() == 0
    assert started["loops"] == ["idle"]
    assert worker.lines[-1]["event"] == "worker_stopped"
    assert worker.lines[-1]["service"] == "bookings-worker"


@asynccontextmanager
async def a_lock(url: str) -> AsyncIterator[None]:
    connection = await asyncpg.connect(url)
    await connection.execute("SELECT pg_advisory_lock(42)")
    try:
        yield
    finally:
        await connection.close()


async def test_the_work_in_hand_is_finished_first(start: Start, database_url: str) -> None:
    build = """
async def act(db):
    await db.execute("INSERT INTO effects VALUES (gen_random_uuid())")
    shared.worker.logger.info("in_hand")
    await db.execute("SELECT pg_advisory_xact_lock(42)")

async def build(worker):
    return {"timer": worker.timer("work", timedelta(hours=1), act)}
"""
    async with a_lock(database_url):
        worker = await start(build, DATABASE_URL=database_url)
        await worker.until("in_hand")
        worker.send(signal.SIGTERM)
        await worker.until("worker_stopping")

    assert await worker.ended() == 0
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT count(*) FROM effects") == 1
    await connection.close()


@pytest.mark.parametrize("ending", ["return", "raise ValueError", "raise asyncio.CancelledError"])
async def test_a_loop_that_ends_by_itself_ends_the_process(start: Start, ending: str) -> None:
    build = f"""
async def end():
    {ending}

async def build(worker):
    return {{"idle": asyncio.Event().wait, "broken": end}}
"""
    worker = await start(build)

    assert await worker.ended() == 1
    told = next(line for line in worker.lines if line["event"] == "loop_ended")
    assert told["loop"] == "broken"
    assert told["level"] == "error"
    assert ("exception" in told) == ("ValueError" in ending)


async def test_a_loop_that_does_not_stop_is_left_behind(start: Start) -> None:
    build = """
shared.worker._GRACE, shared.worker._LIMIT = 0.1, 4

async def stubborn():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

async def build(worker):
    return {"stubborn": stubborn}
"""
    worker = await start(build)
    await worker.until("worker_started")

    worker.send(signal.SIGTERM)

    assert await worker.ended() == -signal.SIGALRM
    assert any(line["event"] == "loop_did_not_stop" for line in worker.lines)


async def test_a_worker_that_cannot_be_built_says_why(start: Start) -> None:
    worker = await start("async def build(worker):\n    raise OSError('no such host')")

    assert await worker.ended() == 1
    told = next(line for line in worker.lines if line["event"] == "worker_crashed")
    assert told["exception"][0]["says"] == "no such host"


async def test_resources_are_closed_after_the_loops_have_ended(start: Start) -> None:
    build = """
from contextlib import asynccontextmanager

@asynccontextmanager
async def resource():
    yield
    shared.worker.logger.info("closed")

async def use():
    try:
        await asyncio.Event().wait()
    finally:
        shared.worker.logger.info("ended")

async def build(worker):
    await worker.resources.enter_async_context(resource())
    return {"use": use}
"""
    worker = await start(build)
    await worker.until("worker_started")

    worker.send(signal.SIGTERM)

    assert await worker.ended() == 0
    events = [line["event"] for line in worker.lines]
    assert events.index("ended") < events.index("closed")


@pytest.fixture
def port() -> Iterator[int]:
    """Kept from everybody but whoever is told of it."""
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


async def test_a_worker_tells_how_it_is(start: Start, database_url: str, port: int) -> None:
    worker = await start(WORKER_PORT=str(port), DATABASE_URL=database_url)
    await worker.until("health_listening")

    async with AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        alive = await client.get("/healthz")
        ready = await client.get("/readyz")
        metrics = await client.get("/metrics")
    worker.send(signal.SIGTERM)

    assert alive.status_code == 200
    assert ready.status_code == 503
    assert ready.json() == {"database": True, "broker": False}
    assert "process_cpu_seconds_total" in metrics.text
    assert await worker.ended() == 0


async def test_a_worker_is_ready_when_database_and_broker_answer(
    start: Start, database_url: str, amqp_url: str, port: int
) -> None:
    worker = await start(WORKER_PORT=str(port), DATABASE_URL=database_url, AMQP_URL=amqp_url)
    await worker.until("health_listening")

    async with AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answers = [await client.get("/readyz") for _ in range(3)]
    worker.send(signal.SIGTERM)

    assert {answer.status_code for answer in answers} == {200}
    assert await worker.ended() == 0


async def test_a_port_in_use_is_a_clear_message(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        worker = await start(WORKER_PORT=str(taken.getsockname()[1]))

        assert await worker.ended() == 1

    told = next(line for line in worker.lines if line["event"] == "loop_ended")
    assert told["loop"] == "health"
    assert "already in use" in told["exception"][0]["says"]
