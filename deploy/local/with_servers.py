"""Runs a command, the tests above all, beside a PostgreSQL and a RabbitMQ of its own."""

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from local.console import CannotRun, Console
from local.folder import RunFolder
from local.leftovers import end_leftovers
from local.ports import Ports
from local.postgres import data_elsewhere
from local.servers import Given, find_servers
from local.supervisor import Supervisor, end_with_parent, register_file

PREFIX = "medic-tests-"


async def with_servers(
    command: Sequence[str], console: Console, *, rabbitmq: bool = True, durable: bool = False
) -> int:
    """The command's exit code; it finds the servers in TEST_POSTGRES_URL and TEST_AMQP_URL.

    A ``durable`` PostgreSQL waits for its disk, as in production; for tests that is wasted time.

    Servers that those variables name already are used. With TEST_SERVERS=docker, and where nothing
    native can be had, the command is left to start containers itself.
    """
    amqp_url = os.environ.get("TEST_AMQP_URL") if rabbitmq else "amqp://nowhere"
    given = Given(os.environ.get("TEST_POSTGRES_URL"), amqp_url)
    if os.environ.get("TEST_SERVERS") == "docker" or (given.postgres_admin_url and given.amqp_url):
        return await _run(command, {})
    await _remove_abandoned(console)
    folder = _new_folder()
    try:
        with folder.held(), Ports.held(folder.path / "ports.json") as ports:
            return await _run_beside(folder, ports, given, command, console, durable)
    except CannotRun as error:
        if not await _docker_works():
            raise
        console.say(f"  {error}\n  so the tests start containers")
        return await _run(command, {})
    finally:
        _remove(folder.path)


def _new_folder() -> RunFolder:
    return RunFolder(Path(tempfile.mkdtemp(prefix=PREFIX)).resolve())


def _folders_of_all_runs() -> list[Path]:
    found = Path(tempfile.gettempdir()).resolve().glob(f"{PREFIX}*")
    return [path for path in found if path.stat().st_uid == os.getuid()]


async def _run_beside(
    folder: RunFolder,
    ports: Ports,
    given: Given,
    command: Sequence[str],
    console: Console,
    durable: bool,
) -> int:
    servers = await find_servers(folder, ports, given, console, durable=durable)
    async with Supervisor(folder, servers.programs(), console) as supervisor:
        async with asyncio.TaskGroup() as group:
            group.create_task(servers.start_postgres(supervisor, console))
            group.create_task(servers.start_rabbitmq(supervisor, console))
        urls = {"TEST_POSTGRES_URL": servers.admin_url, "TEST_AMQP_URL": servers.amqp_url}
        return await _run(command, urls)


async def _run(command: Sequence[str], urls: Mapping[str, str]) -> int:
    try:
        process = await asyncio.create_subprocess_exec(
            *command, env=os.environ | urls, preexec_fn=end_with_parent
        )
    except FileNotFoundError:
        raise CannotRun(f"no such command: {command[0]}") from None
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 15)
            except TimeoutError:
                process.kill()
        raise
    return code if code >= 0 else 128 - code


async def _docker_works() -> bool:
    if not shutil.which("docker"):
        return False
    nothing = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec("docker", "info", stdout=nothing, stderr=nothing)
    return await process.wait() == 0


async def _remove_abandoned(console: Console) -> None:
    """What test runs have left that were killed: their servers and their folders."""
    for path in _folders_of_all_runs():
        # A folder without a lock, or whose lock is held, belongs to a run that is under way.
        with suppress(OSError), (path / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            await end_leftovers(register_file(RunFolder(path)), console)
            _remove(path)


def _remove(path: Path) -> None:
    if elsewhere := data_elsewhere(path):
        shutil.rmtree(elsewhere, ignore_errors=True)
    shutil.rmtree(path, ignore_errors=True)
