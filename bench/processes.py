"""How long each process takes from its start until it is ready, and how much memory it holds.

    make run                                                                    # elsewhere
    python -m bench.under_load rate --per-second 5 --seconds 3600 --give-back   # that they work
    python -m bench.processes

Memory is that of the processes as they are found. Then each is told to stop and is started anew by
its supervisor. Processor time is what a busy machine disturbs least.
"""

import argparse
import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

import aiohttp

from bench.running_system import RUN_FOLDER

WANTED_SECONDS, WANTED_MEGABYTES = 3.0, 150
LIMIT = 60.0
NAMES = [
    f"{service}-{kind}"
    for service in ("availability", "bookings", "reservations", "notifications", "calendar-sync")
    for kind in ("api", "worker")
]


class Start(NamedTuple):
    seconds: float
    """From the process's start until ``/readyz`` said yes."""
    processor: float
    """What it used until then."""


def pid_of(name: str) -> int:
    known = json.loads((RUN_FOLDER / "processes.json").read_text())
    return int(next(entry["pid"] for entry in known if entry["name"] == name))


def megabytes(pid: int) -> float:
    """Resident now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def age_and_processor(pid: int) -> Start:
    """In seconds, since this process was started."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = os.sysconf("SC_CLK_TCK")
    up = float(Path("/proc/uptime").read_text().split()[0])
    return Start(up - int(fields[19]) / ticks, (int(fields[11]) + int(fields[12])) / ticks)


async def restart(name: str, port: int, session: aiohttp.ClientSession) -> Start:
    """End the process, and see the next one become ready."""
    before = pid_of(name)
    os.kill(before, signal.SIGTERM)
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        await asyncio.sleep(0.01)
        if (pid := pid_of(name)) == before:
            continue
        try:
            async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                if answer.status == 200:
                    return age_and_processor(pid)
        except (aiohttp.ClientError, OSError):
            continue
    raise SystemExit(f"{name} was not ready again within {LIMIT:.0f} s")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these processes")
    names = parser.parse_args().names or NAMES
    ports = json.loads((RUN_FOLDER / "ports.json").read_text())
    worked = {name: megabytes(pid_of(name)) for name in names}
    print(f"{'':24} worked, MB    new, MB   ready after, s   processor, s")
    async with aiohttp.ClientSession() as session:
        for name in names:
            start = await restart(name, ports[name], session)
            new = megabytes(pid_of(name))
            missed = " <" * (start.seconds > WANTED_SECONDS or worked[name] > WANTED_MEGABYTES)
            print(
                f"{name:24} {worked[name]:10.0f} {new:10.0f} {start.seconds:16.2f} "
                f"{start.processor:14.2f}{missed}"
            )
    print(f"wanted: {WANTED_MEGABYTES} MB at most, ready after {WANTED_SECONDS:.0f} s")


if __name__ == "__main__":
    asyncio.run(main())
