"""The system under torture from the operator's side: its processes, ways, ports and databases."""

import asyncio
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from local.keys import SigningKey, signing_key
from local.links import Mode, switch
from tests.e2e import clocks
from tests.e2e.system import CHECKOUT, System, started
from tests.torture.carrier import settings as carrier_settings
from tests.torture.history import now

SERVICES = ("availability", "bookings", "reservations", "notifications", "calendar-sync")
PROCESSES = tuple(f"{service}-{kind}" for service in SERVICES for kind in ("api", "worker"))
SERVERS = ("postgres", "rabbitmq")
OTHERS = ("mail", "radicale")
_ASKING = aiohttp.ClientTimeout(total=2)


@dataclass(frozen=True)
class Stand:
    """A running system, and what may be done to it."""

    system: System
    carrier: socket.socket
    """Where its texts arrive; somebody has to serve it."""
    clocks: Mapping[str, Path]
    """What sets the clock of each process wrong; none where nothing compiles C."""

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> "Iterator[Stand]":
        library = clocks.library(folder.parent)
        files = {name: folder.parent / f"{name}.clock" for name in PROCESSES if library}
        with socket.create_server(("127.0.0.1", 0)) as carrier:
            own = {name: dict(clocks.settings(library, files[name])) for name in files if library}
            own.setdefault("notifications-worker", {}).update(
                carrier_settings(carrier.getsockname()[1])
            )
            file = folder.parent / "settings.json"
            file.write_text(json.dumps(own))
            with started(folder, "--links", "--settings", str(file)) as system:
                yield cls(system, carrier, files)

    @property
    def folder(self) -> Path:
        return self.system.folder

    @cached_property
    def key(self) -> SigningKey:
        return signing_key(self.folder / "keys")

    @cached_property
    def ports(self) -> dict[str, int]:
        known: dict[str, int] = json.loads((self.folder / "ports.json").read_text())
        return known

    @cached_property
    def has_links(self) -> bool:
        return (self.folder / "links.json").exists()

    @cached_property
    def environment(self) -> dict[str, str]:
        """What an operator's command reads: the lines of the run folder's ``env``."""
        words = shlex.split((self.folder / "env").read_text())
        return dict(word.split("=", 1) for word in words if word != "export")

    def signal(self, name: str, number: int) -> None:
        """To a program; to all of its processes where PostgreSQL is to stand still."""
        pid = self.system.pid_of(name)
        pids = [pid]
        if number in (signal.SIGSTOP, signal.SIGCONT):
            pids += _descendants(pid)
        for each in pids:
            with suppress(ProcessLookupError):
                os.kill(each, number)

    def shift(self, name: str, seconds: int) -> None:
        """How far the clock of a process is ahead from now on."""
        clocks.set_wrong(self.clocks[name], seconds)

    async def turn(self, link: str, mode: Mode) -> None:
        await self._switch({link: mode})

    async def turn_all(self, server: str, mode: Mode) -> None:
        """The ways of all processes to that server."""
        await self._switch({f"{name} {server}": mode for name in PROCESSES})

    async def _switch(self, modes: Mapping[str, Mode]) -> None:
        control = json.loads((self.folder / "links.json").read_text())["socket"]
        await switch(Path(control), modes)

    async def sever(self, service: str) -> None:
        """End all of a service's sessions in the database."""
        connection = await asyncpg.connect(self.environment["POSTGRES_ADMIN_URL"], timeout=5)
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
                service.replace("-", "_"),
            )
        finally:
            await connection.close()

    async def lives(self, session: aiohttp.ClientSession, name: str) -> bool:
        """Whether a process answers at all."""
        return await self._answers(session, name, "healthz")

    async def is_ready(self, session: aiohttp.ClientSession, name: str) -> bool:
        """Whether a program does its work: its database and broker answer as well."""
        match name:
            case "postgres":
                return await self.database_answers()
            case "rabbitmq" | "mail" | "radicale":
                port = {"mail": "smtp"}.get(name, name)
                return await _listens(self.ports[port])
            case "gateway":
                return await _is_200(session, f"{self.system.base_url}/healthz")
            case _:
                return await self._answers(session, name, "readyz")

    async def _answers(self, session: aiohttp.ClientSession, name: str, path: str) -> bool:
        return await _is_200(session, f"http://127.0.0.1:{self.ports[name]}/{path}")

    async def database_answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.environment["POSTGRES_ADMIN_URL"], timeout=2)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        await connection.close()
        return True

    def born_at(self, name: str) -> float | None:
        """When the program's present process began, by the wall clock; None while there is none."""
        try:
            stat = Path(f"/proc/{self.system.pid_of(name)}/stat").read_text()
            uptime = float(Path("/proc/uptime").read_text().split()[0])
        except (OSError, StopIteration):
            return None
        state, *fields = stat.rpartition(")")[2].split()
        if state in "ZX":
            return None
        return now() - uptime + int(fields[18]) / os.sysconf("SC_CLK_TCK")

    def starved(self, name: str) -> float:
        """Seconds for which the program's process was ready to run and had no processor so far."""
        try:
            text = Path(f"/proc/{self.system.pid_of(name)}/schedstat").read_text()
        except OSError:
            return 0.0
        return int(text.split()[1]) / 1e9

    async def command(self, module: str, *words: str, limit: float = 120) -> tuple[int, str]:
        """An operator's command beside the system: exit code and what it says."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *words),
            cwd=CHECKOUT,
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(limit):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            return -1, "it did not end in time"
        return process.returncode or 0, output.decode(errors="replace").strip()

    async def rows(self, service: str, statement: str, *values: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.system.query(service, statement, *values)]


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found: list[int] = []
    waiting: Sequence[int] = [pid]
    while waiting:
        waiting = [child for parent in waiting for child in children.get(parent, [])]
        found += waiting
    return found


async def _is_200(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url, timeout=_ASKING) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def _listens(port: int) -> bool:
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
