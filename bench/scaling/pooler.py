"""bookings behind PgBouncer, where it is installed: ``python -m bench.scaling.pooler``."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from bench.bookings import pairs_per_second
from bench.clinic import a_clinic
from bench.stage import Stage, a_free_port, answers, stage

SECONDS = 3.0
POOLS = {"session": 40, "transaction": 8}
ACCOUNT = "postgres" if os.geteuid() == 0 else None
_OUR_SETTINGS = (
    "timezone,jit,lock_timeout,statement_timeout,idle_in_transaction_session_timeout,search_path"
)
_CONFIG = """
[databases]
{name} = host={host} port={port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {pool}
max_client_conn = 500
ignore_startup_parameters = {ignored}
logfile = {folder}/log
"""


@asynccontextmanager
async def a_pooler(url: str, mode: str) -> AsyncIterator[str]:
    """The URL of the same database, through a pool of transactions or of sessions."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    there, listen = urlsplit(url), a_free_port()
    (folder / "pgbouncer.ini").write_text(
        _CONFIG.format(
            name=there.path[1:],
            host=there.hostname,
            port=there.port,
            user=there.username,
            password=there.password,
            listen=listen,
            mode=mode,
            pool=POOLS[mode],
            ignored=_OUR_SETTINGS,
            folder=folder,
        )
    )
    if ACCOUNT:
        for path in (folder, folder / "pgbouncer.ini"):
            shutil.chown(path, ACCOUNT)
    process = await asyncio.create_subprocess_exec(
        program,
        str(folder / "pgbouncer.ini"),
        user=ACCOUNT,
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await answers(listen)
        yield f"postgresql://{there.username}:x@127.0.0.1:{listen}{there.path}"
    finally:
        process.terminate()
        await process.wait()
        shutil.rmtree(folder)


async def run(on: Stage) -> None:
    clinic = await a_clinic(on)
    for mode in POOLS:
        async with a_pooler(on.database_url, mode) as url:
            behind = replace(on, settings={**on.settings, "DATABASE_URL": url})
            async with behind.serving("bookings.app:make_app") as port:
                try:
                    rate = await pairs_per_second(port, clinic, SECONDS)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is what we ask for
                    print(f"{mode} pooling: {str(error).splitlines()[0]}")
                else:
                    print(f"{mode} pooling: {rate:.0f} pairs/s")
            print(f"  prepared statements: {await _prepares(url)}")
            print(
                f"  one relay at a time: {await _locks(url)}; woken by NOTIFY: {await _hears(url)}"
            )
            print(f"  our lock_timeout: {await _is_set(url)}")


async def _prepares(url: str) -> str:
    first, second = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        await first.fetchval("SELECT $1::integer + 1", 1)
        async with second.transaction():
            await second.fetchval("SELECT 1")
            await first.fetchval("SELECT $1::integer + 1", 1)
    except asyncpg.PostgresError as error:
        return type(error).__name__
    finally:
        first.terminate()
        second.terminate()
    return "work"


async def _locks(url: str) -> bool:
    """Whether a second session is refused what a first one holds."""
    first, second = [await asyncpg.connect(url, statement_cache_size=0) for _ in range(2)]
    got = [(await each.fetch("SELECT pg_try_advisory_lock(7)"))[0][0] for each in (first, second)]
    first.terminate()
    second.terminate()
    return got == [True, False]


async def _hears(url: str) -> bool:
    heard = asyncio.Event()
    listener, teller = [await asyncpg.connect(url, statement_cache_size=0) for _ in range(2)]
    await listener.add_listener("outbox", lambda *_: heard.set())
    await teller.execute("NOTIFY outbox")
    try:
        await asyncio.wait_for(heard.wait(), 2)
    except TimeoutError:
        return False
    finally:
        listener.terminate()
        teller.terminate()
    return True


async def _is_set(url: str) -> str:
    connection = await asyncpg.connect(
        url, statement_cache_size=0, server_settings={"lock_timeout": "5s"}
    )
    found: str = (await connection.fetch("SHOW lock_timeout"))[0][0]
    connection.terminate()
    return found


async def main() -> None:
    async with stage("bookings") as on:
        await run(on)


if __name__ == "__main__":
    asyncio.run(main())
