"""Calendars of a thousand providers: a quiet round, one change, and everything read anew.

The engine runs in this process, the API and Microsoft's double in others of their own.
"""

import asyncio
import random
import resource
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson

from bench.figures import Row, at_most, latencies, no_more_than
from bench.stage import CHECKOUT, Stage
from calendar_sync.calendars.contract import RemoteCalendar
from calendar_sync.calendars.microsoft import MicrosoftKind, registration
from calendar_sync.calendars.oauth import OAuth
from calendar_sync.sync.visit import Visits
from calendar_sync.sync.visitor import Visitor
from calendar_sync.use_cases.connect import Opened, connect
from calendar_sync.vault import Vault
from shared.http import new_client

CONNECTIONS, EVENTS, LONG = 1_000, 200, 10_000
CHANGES = 200
AT_ONCE = 20
KEYS = "bench:" + "YmVuY2hlcy1iZW5jaGVzLWJlbmNoZXMtYmVuY2hlcy0="
SETTINGS = {
    "PUBLIC_URL": "https://clinic.bench",
    "CALENDAR_LINK_SECRET": "a-secret-of-feed-links-for-benchmarks",
    "CALENDAR_KEYS": KEYS,
}


class Peer:
    """The double's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, **wanted: Any) -> Any:
        """Its answer; with nothing asked, its first words."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        if wanted:
            stdin.write(orjson.dumps(wanted) + b"\n")
        return orjson.loads(await stdout.readline())


@asynccontextmanager
async def _peer(api_port: int) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.graph_peer", str(api_port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=64 * 1024 * 1024,
        cwd=CHECKOUT,
    )
    try:
        yield Peer(process)
    finally:
        process.terminate()
        await process.wait()


async def run(on: Stage, connections: int = CONNECTIONS, long: int = LONG) -> list[Row]:
    async with (
        on.serving("calendar_sync.app:make_app") as port,
        _peer(port) as peer,
        new_client() as http,
    ):
        doors = await peer.ask()
        ours = registration(
            client_id="our-application",
            client_secret="the-application's-secret",
            login_url=doors["login_url"],
        )
        kind = MicrosoftKind(OAuth(http, ours), doors["url"])
        vault = Vault.of(KEYS)
        poll = timedelta(minutes=40)
        visits = Visits(
            on.database, {"microsoft": kind}, vault, "clinic.bench", poll, SETTINGS["PUBLIC_URL"]
        )
        visitor = Visitor(on.database, visits, AT_ONCE)
        await _connect(on, peer, vault, connections, EVENTS)
        took, cpu = await _round(on, visitor)
        rows = [
            Row(
                name=f"{connections:,} × {EVENTS} events read first ({cpu:.1f} s of ours)",
                figure=took,
                unit="s",
            ),
            *await _quiet_round(on, visitor, peer, connections),
            *await _changes(on, visitor, peer, connections),
        ]
        for count in (long // 10, long):
            rows += await _everything_anew(on, visitor, peer, vault, count)
    return rows


async def _connect(on: Stage, peer: Peer, vault: Vault, count: int, events: int) -> Sequence[UUID]:
    made = await peer.ask(do="mailboxes", count=count, events=events)
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    ids = []
    for grant in made:
        provider = uuid4()
        credentials = {
            "access_token": grant["access_token"],
            "refresh_token": grant["refresh_token"],
            "expires_at": f"{expires_at.timestamp():.0f}",
        }
        calendar = RemoteCalendar(
            id=grant["calendar"], name="Calendar", timezone=None, is_writable=True
        )
        opened = Opened(
            kind="microsoft",
            account="doctor@clinic.bench",
            place="Microsoft 365",
            identity=str(provider),
            credentials=credentials,
            calendars=[calendar],
        )
        async with on.database.transaction() as db:
            await db.execute(
                "INSERT INTO providers (id, version, name, timezone, is_deleted) "
                "VALUES ($1, 1, 'Dr.', 'Europe/Athens', false)",
                provider,
            )
            ids.append(await connect(db, provider, opened, vault))
    return ids


async def _round(on: Stage, visitor: Visitor) -> tuple[float, float]:
    """Seconds until nobody is due any more, and of them our own processor time."""
    began, cpu = time.perf_counter(), time.process_time()
    until = "SELECT count(*) FROM connections WHERE next_visit_at <= now() OR lease_id IS NOT NULL"
    running = asyncio.create_task(visitor.run())
    async with on.database.reading() as db:
        while await db.fetchval(until):
            assert not running.done()
            await asyncio.sleep(0.1)
        failed = await db.fetchval("SELECT count(*) FROM connections WHERE failures > 0")
    assert not failed, f"{failed} failed"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return time.perf_counter() - began, time.process_time() - cpu


async def _quiet_round(on: Stage, visitor: Visitor, peer: Peer, connections: int) -> list[Row]:
    before = await peer.ask(do="calls")
    async with on.database.autocommit() as db:
        told = await db.fetchval("SELECT count(*) FROM outbox WHERE type LIKE '%busy%'")
        await db.execute("UPDATE connections SET next_visit_at = now()")
    took, cpu = await _round(on, visitor)
    after = await peer.ask(do="calls")
    async with on.database.reading() as db:
        assert told == await db.fetchval("SELECT count(*) FROM outbox WHERE type LIKE '%busy%'")
    calls, deltas = (after[name] - before[name] for name in ("calls", "deltas"))
    return [
        Row(
            name=f"a quiet round of {connections:,} connections ({cpu:.1f} s of ours)",
            figure=took,
            unit="s",
            wanted=no_more_than(60),
        ),
        Row(
            name="requests of it, and of them unconditional",
            figure=calls,
            unit="",
            ratio=calls / connections,
            yardstick=f"one each, {calls - deltas:,} unconditional",
            wanted=at_most(1),
        ),
    ]


async def _changes(on: Stage, visitor: Visitor, peer: Peer, connections: int) -> tuple[Row, Row]:
    """From a change there to what has been committed here for everybody to hear."""
    chance = random.Random(1)
    told = "SELECT count(*) FROM outbox WHERE type = 'calendar.busy_changed'"
    running = asyncio.create_task(visitor.run())
    times = []
    async with on.database.reading() as db:
        for _ in range(CHANGES):
            await asyncio.sleep(chance.random() / 4)
            before = await db.fetchval(told)
            await peer.ask(do="change", mailbox=chance.randrange(connections))
            began = time.perf_counter()
            while await db.fetchval(told) == before:
                assert time.perf_counter() - began < 30, "nothing was told"
                await asyncio.sleep(0.005)
            times.append(time.perf_counter() - began)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return latencies("a change there → committed here", times, p99_ms=1500)


async def _everything_anew(
    on: Stage, visitor: Visitor, peer: Peer, vault: Vault, count: int
) -> list[Row]:
    (id_,) = await _connect(on, peer, vault, 1, count)
    await _round(on, visitor)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with on.database.autocommit() as db:
        await db.execute("UPDATE calendars SET cursor = NULL WHERE connection_id = $1", id_)
        await db.execute("UPDATE connections SET next_visit_at = now() WHERE id = $1", id_)
    took, cpu = await _round(on, visitor)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    async with on.database.reading() as db:
        found = await db.fetchval(
            "SELECT count(*) FROM external_busy_times WHERE connection_id = $1", id_
        )
    assert found == count, found
    return [
        Row(name=f"{count:,} events read anew ({cpu:.1f} s of ours)", figure=took, unit="s"),
        Row(
            name="    and what the peak of memory grows by",
            figure=grown / 1024,
            unit="MB",
            wanted=no_more_than(20),
        ),
    ]
