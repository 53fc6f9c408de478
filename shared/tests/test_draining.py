"""An API that is told to stop says so, finishes what it has begun, and is gone in time."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from shared.http import AsyncClient, TransportError
from shared.testing.tokens import AUDIENCE, ISSUER, SERVICE_SECRET

_LIMIT = 40

_PROGRAM = """
import socket, sys
import uvicorn
from shared.app import create_app, new_router
from shared.db import SqlTransaction
from shared.settings import ServiceSettings

router = new_router()

@router.post("/slow")
async def slow(db: SqlTransaction) -> str:
    await db.execute("INSERT INTO effects VALUES (gen_random_uuid())")
    await db.execute("SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = '60s'")
    await db.execute("SELECT pg_advisory_xact_lock(42)")
    return "done"

app = create_app(
    ServiceSettings(), service="toy", title="Toy", description="Toy", routers=[router]
)
with socket.create_server(("127.0.0.1", 0)) as listening:
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=int(sys.argv[1]))
    )
    print(listening.getsockname()[1], flush=True)
    server.run([listening])
"""


class Api:
    """A process that serves, and a client of it that keeps its connections."""

    def __init__(self, process: asyncio.subprocess.Process, client: AsyncClient) -> None:
        self.process = process
        self.client = client

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        async with asyncio.timeout(_LIMIT):
            return await self.process.wait()

    async def takes_nothing_new(self) -> bool:
        try:
            async with AsyncClient(base_url=self.client.base_url) as somebody:
                await somebody.get("/healthz")
        except TransportError:
            return True
        return False

    async def is_ready(self) -> bool:
        return (await self.client.get("/readyz")).status_code == 200


Start = Callable[..., Awaitable[Api]]


@pytest.fixture
async def start(jwks_file: Path, database_url: str, amqp_url: str) -> AsyncIterator[Start]:
    running: list[Api] = []

    async def start(*, patience: int = 60, **more: str) -> Api:
        settings = {
            "DATABASE_URL": database_url,
            "AMQP_URL": amqp_url,
            "AUTH_ISSUER": ISSUER,
            "AUTH_AUDIENCE": AUDIENCE,
            "AUTH_JWKS": str(jwks_file),
            "SERVICE_SECRET": SERVICE_SECRET,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _PROGRAM, str(patience)),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **settings, **more},
        )
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        client = AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=_LIMIT)
        running.append(Api(process, client))
        await until(running[-1].is_ready)
        return running[-1]

    yield start
    for api in running:
        await api.client.aclose()
        if api.process.returncode is None:
            api.process.kill()
        await api.process.wait()


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_LIMIT):
        while not await look():  # noqa: ASYNC110 -- nobody tells
            await asyncio.sleep(0.02)


@pytest.fixture
async def lock(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database_url)
    await connection.execute("SELECT pg_advisory_lock(42)")
    yield connection
    await connection.close()


async def waits(lock: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Whether somebody is in the middle of a request."""
    return bool(
        await lock.fetchval("SELECT true FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    )


async def test_a_request_in_hand_is_finished_and_no_new_one_taken(
    start: Start, lock: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    api = await start()
    asked = asyncio.create_task(api.client.post("/slow"))
    await until(lambda: waits(lock))

    api.stop()
    await until(api.takes_nothing_new)
    await lock.execute("SELECT pg_advisory_unlock(42)")

    assert (await asked).json() == "done"
    assert await api.ended() in (0, -signal.SIGTERM)
    assert await lock.fetchval("SELECT count(*) FROM effects") == 1


async def test_who_asks_whether_it_is_ready_hears_of_its_end_first(
    start: Start, lock: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    api = await start(STOP_DELAY_SECONDS="60")
    before = await api.client.get("/healthz")

    api.stop()

    await until(lambda: is_false(api.is_ready))
    told = await api.client.get("/readyz")
    await lock.execute("SELECT pg_advisory_unlock(42)")
    late = await api.client.post("/slow")
    assert (told.status_code, told.json()) == (503, {"stopping": True})
    assert (late.status_code, late.json()) == (200, "done")
    assert "connection" not in before.headers
    assert late.headers["connection"] == "close", "the next request goes elsewhere"

    api.stop()  # whoever is in a hurry says so twice
    assert await api.ended() in (0, -signal.SIGTERM)


async def is_false(look: Callable[[], Awaitable[bool]]) -> bool:
    return not await look()


async def test_a_request_without_an_end_keeps_nobody(
    start: Start, lock: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    api = await start(patience=1)
    asked = asyncio.create_task(api.client.post("/slow"))
    await until(lambda: waits(lock))

    api.stop()

    answer = await asked
    assert (answer.status_code, answer.json()["code"]) == (503, "try_again")
    assert await api.ended() in (0, -signal.SIGTERM)
    assert await lock.fetchval("SELECT count(*) FROM effects") == 0
