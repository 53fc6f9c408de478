"""Lists from a streaming replica while the primary is under load: how far behind it is.

Beside a private PostgreSQL (docs/scaling.md): ``python -m bench.scaling.replica``.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg

from bench.bookings import pairs_per_second
from bench.clinic import Clinic, a_clinic
from bench.stage import a_free_port, answers, stage
from bookings import lists
from local.postgres import answers as accepts
from local.prepare import find_postgres
from local.waiting import wait_for
from shared.db import Connection, Database

SECONDS = 10.0
PAGE = 20
ACCOUNT = "postgres" if os.geteuid() == 0 else None
"""PostgreSQL does not run as root."""


@asynccontextmanager
async def a_replica(primary: str) -> AsyncIterator[str]:
    """The URL of a hot standby of the server at ``primary``, fed by streaming."""
    release = find_postgres()
    assert release is not None, "no PostgreSQL to be found"
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    if ACCOUNT:
        shutil.chown(folder, ACCOUNT)
    data, port = folder / "data", a_free_port()
    copied = await asyncio.create_subprocess_exec(
        *(str(release.bin / "pg_basebackup"), "-d", primary, "-D", str(data), "-R", "-X", "stream"),
        *("--checkpoint=fast",),
        user=ACCOUNT,
        cwd=folder,
    )
    assert await copied.wait() == 0
    process = await asyncio.create_subprocess_exec(
        *(str(release.bin / "postgres"), "-D", str(data), "-p", str(port)),
        user=ACCOUNT,
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await answers(port)
        url = primary.replace(f":{urlsplit(primary).port}/", f":{port}/")
        await wait_for(lambda: accepts(url), "the replica", limit=30)
        yield url
    finally:
        process.terminate()
        await process.wait()
        shutil.rmtree(folder)


async def run() -> None:
    server = os.environ["TEST_POSTGRES_URL"]
    async with stage("bookings") as on:
        clinic = await a_clinic(on)
        async with (
            a_replica(server) as replica,
            on.serving("bookings.app:make_app") as port,
        ):
            old, new = (f":{urlsplit(each).port}/" for each in (server, replica))
            url = on.database_url.replace(old, new)
            await pairs_per_second(port, clinic, 2)
            patients = [id_ for id_, _ in clinic.patients]
            async with Database.open(url, application_name="lists") as copy:
                for load in (0.0, SECONDS):
                    await _measure(on.admin_url, copy, port, load, clinic, patients)


async def _measure(
    primary: str, copy: Database, port: int, load: float, clinic: Clinic, patients: list[UUID]
) -> None:
    admin = await asyncpg.connect(primary)
    pairs = asyncio.create_task(pairs_per_second(port, clinic, load)) if load else None
    until = perf_counter() + (load or 3.0)
    waits: list[float] = []
    pages: list[float] = []
    seen = 0
    for turn in count():
        if perf_counter() >= until:
            break
        lsn = await admin.fetchval("SELECT pg_current_wal_flush_lsn()::text")
        began = perf_counter()
        async with copy.reading() as db:
            await _has(db, lsn)
            waits.append(perf_counter() - began)
            began = perf_counter()
            page = await lists.of_patient(
                db, patients[turn % len(patients)], upcoming=True, after=None, limit=PAGE
            )
            pages.append(perf_counter() - began)
            seen += len(page.appointments)
        await asyncio.sleep(0.01)
    await admin.close()
    rate = f"{await pairs:.0f} pairs/s" if pairs else "nothing else"
    print(f"{rate}: what is committed now is seen on the replica after ", end="")
    print(
        f"{median(waits) * 1000:.1f} ms (p99 {quantiles(waits, n=100)[98] * 1000:.1f} ms); ", end=""
    )
    print(f"a page there {median(pages) * 1000:.1f} ms, {seen} appointments in {len(pages)} pages")


async def _has(replica: Connection, lsn: str) -> None:
    """Returns when the replica shows what was committed at ``lsn``: one's own write."""
    while True:
        if await replica.fetchval("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", lsn):
            return
        await asyncio.sleep(0.0005)


if __name__ == "__main__":
    asyncio.run(run())
