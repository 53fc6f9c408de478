"""Processes: who is who, and ending those that an earlier run could not end itself."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from local.console import Console, WentWrong
from local.folder import write_private


@dataclass(frozen=True)
class Known:
    """A process of ours: its number alone could be somebody else's by now, its birth could not."""

    name: str
    pid: int
    born: str

    def lives(self) -> bool:
        return birth_of(self.pid) == self.born


def birth_of(pid: int) -> str | None:
    """When the process was started, as the system tells it; None when there is none."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return None
        state, *fields = stat.rpartition(")")[2].split()
        return None if state in "ZX" else f"{boot}/{fields[18]}"
    answer = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or None


class Register:
    """The processes of a running system, on disk, so that the next run can end what is left."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, Known] = {}

    def add(self, name: str, pid: int) -> None:
        if born := birth_of(pid):
            self._known[name] = Known(name, pid, born)
            write_private(self._file, json.dumps([asdict(known) for known in self._known.values()]))

    def processes(self) -> list[Known]:
        return list(self._known.values())

    def forget(self) -> None:
        self._known.clear()
        self._file.unlink(missing_ok=True)


async def end_leftovers(file: Path, console: Console) -> None:
    """End what the register of an earlier run names and what still lives."""
    if alive := [process for process in _registered(file) if process.lives()]:
        console.say(f"  an earlier run left {len(alive)} processes behind; ending them …")
        with console.step("ended what an earlier run left behind"):
            # supervisord first, and alone: it ends its programs in order, and would restart them.
            for process in (p for p in alive if p.name == SUPERVISOR):
                await end([process], patience=30)
            await end(alive, patience=10)


def _registered(file: Path) -> list[Known]:
    entries = json.loads(file.read_text()) if file.exists() else []
    return [Known(**entry) for entry in entries]


SUPERVISOR = "supervisord"


async def end(processes: Iterable[Known], *, patience: float) -> None:
    """Ask these processes and their groups to end; after ``patience`` seconds kill them."""
    processes = [process for process in processes if process.lives()]
    for process in processes:
        _signal_group(process.pid, signal.SIGTERM)
    if await _gone(processes, patience):
        return
    for process in processes:
        _signal_group(process.pid, signal.SIGKILL)
    if not await _gone(processes, 5):
        names = ", ".join(f"{p.name} ({p.pid})" for p in processes if p.lives())
        raise WentWrong(f"could not end {names}")


def _signal_group(leader: int, signal_number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(leader) == leader:
            os.killpg(leader, signal_number)
        else:
            os.kill(leader, signal_number)


async def _gone(processes: Iterable[Known], patience: float) -> bool:
    processes = list(processes)
    deadline = time.monotonic() + patience
    while any(process.lives() for process in processes):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True
