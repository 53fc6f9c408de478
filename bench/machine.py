"""On what, of what and when something was measured."""

import asyncio
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from bench.stage import CHECKOUT
from shared.messaging.broker import connected


async def this_machine() -> dict[str, str]:
    postgres = await asyncpg.connect(os.environ["TEST_POSTGRES_URL"])
    try:
        version, fsync, waits = [
            await postgres.fetchval(f"SHOW {name}")
            for name in ("server_version", "fsync", "synchronous_commit")
        ]
    finally:
        await postgres.close()
    async with connected(os.environ["TEST_AMQP_URL"], name="bench") as connection:
        transport: Any = connection.transport
        broker = transport.connection.server_properties["version"]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": await _commit(),
        "processor": _first("/proc/cpuinfo", "model name"),
        "cores": str(os.cpu_count()),
        "memory": _first("/proc/meminfo", "MemTotal"),
        "system": f"{platform.system()} {platform.release()}",
        "load when it began": f"{os.getloadavg()[0]:.2f}",
        "Python": platform.python_version(),
        "PostgreSQL": f"{version.split()[0]}, fsync {fsync}, synchronous_commit {waits}",
        "RabbitMQ": broker.decode() if isinstance(broker, bytes) else str(broker),
    }


def _first(file: str, name: str) -> str:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return "unknown"
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, "unknown")


async def _commit() -> str:
    """Of the checkout, and whether something in it was changed."""
    process = await asyncio.create_subprocess_exec(
        *("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"),
        cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    told, _ = await process.communicate()
    return told.decode().strip() or "unknown"
