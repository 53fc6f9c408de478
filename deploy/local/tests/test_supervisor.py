"""The real supervisord over small programs."""

import asyncio
import io
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.console import Console, WentWrong
from local.folder import RunFolder
from local.leftovers import birth_of, end_leftovers
from local.processes import Program
from local.supervisor import Supervisor, register_file
from local.waiting import wait_for

# Writes its number and one variable, then stays; a grandchild stays with it.
SCRIPT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"{os.getpid()} {child.pid} {os.environ['VALUE']}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""


def program(folder: Path, name: str, *command: str) -> Program:
    return Program(
        name=name,
        group="services",
        command=command or (sys.executable, str(folder / "program.py"), str(folder / name)),
        folder=folder,
        environment={"VALUE": "100%,done;yes"},
        stop_seconds=2,
    )


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "logs").mkdir()
    (tmp_path / "program.py").write_text(SCRIPT)
    return RunFolder(tmp_path)


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
async def supervisor(folder: RunFolder, screen: io.StringIO) -> AsyncIterator[Supervisor]:
    programs = [
        program(folder.path, "steady"),
        program(folder.path, "hopeless", sys.executable, "-c", "raise SystemExit('no such luck')"),
    ]
    async with Supervisor(folder, programs, Console(screen)) as supervisor:
        yield supervisor


async def started(folder: RunFolder, *, other_than: int = 0) -> tuple[int, int, str]:
    """Process, grandchild and variable as the program wrote them down."""

    async def look() -> tuple[int, int, str] | None:
        if not (folder.path / "steady").exists():
            return None
        process, child, value = (folder.path / "steady").read_text().split(maxsplit=2)
        return None if int(process) == other_than else (int(process), int(child), value)

    return await wait_for(look, "the program", limit=30)


async def gone(pid: int) -> None:
    async def look() -> bool:
        return birth_of(pid) is None

    await wait_for(look, f"the end of {pid}", limit=30)


async def test_a_program_gets_its_environment_as_it_is(
    supervisor: Supervisor, folder: RunFolder
) -> None:
    await supervisor.start("steady")

    assert (await started(folder))[2] == "100%,done;yes"


async def test_a_crash_is_told_and_answered_by_a_restart(
    supervisor: Supervisor, folder: RunFolder, screen: io.StringIO
) -> None:
    await supervisor.start("steady")
    process, child, _ = await started(folder)

    os.kill(process, signal.SIGKILL)

    await started(folder, other_than=process)

    async def told() -> bool:
        return "steady ended (terminated by SIGKILL) and was restarted" in screen.getvalue()

    await wait_for(told, "a line about it", limit=30)
    os.kill(child, signal.SIGKILL)


async def test_a_program_that_keeps_ending_is_named_with_its_last_words(
    supervisor: Supervisor,
) -> None:
    await supervisor.start("hopeless")

    async def never() -> bool:
        return False

    with pytest.raises(WentWrong, match=r"(?s)hopeless keeps ending.*no such luck"):
        await supervisor.until_ready("hopeless", never, limit=30)


async def test_stopping_leaves_no_process_behind(supervisor: Supervisor, folder: RunFolder) -> None:
    await supervisor.start("steady")
    process, child, _ = await started(folder)

    await supervisor.stop()

    await gone(process)
    await gone(child)
    assert not register_file(folder).exists()


async def test_the_next_run_ends_what_a_killed_one_left(
    supervisor: Supervisor, folder: RunFolder, screen: io.StringIO
) -> None:
    await supervisor.start("steady")
    process, _, _ = await started(folder)
    await wait_for(lambda: _registered(folder, process), "the register", limit=30)

    await end_leftovers(register_file(folder), Console(screen))

    await gone(process)
    assert "left 2 processes behind" in screen.getvalue()


async def _registered(folder: RunFolder, pid: int) -> bool:
    return str(pid) in await asyncio.to_thread(register_file(folder).read_text)
