"""supervisord as our child: starts the programs, restarts what crashes, ends all of it."""

import asyncio
import ctypes
import http.client
import os
import re
import resource
import signal
import socket
import sys
import time
import xmlrpc.client
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from local.console import Console, WentWrong
from local.folder import RunFolder, write_private
from local.leftovers import SUPERVISOR, Register
from local.leftovers import end as end_processes
from local.processes import Program, log_of, supervisor_config
from local.waiting import wait_for

FILES_WANTED = 16_384
TOO_MANY_CRASHES = 5
LARGEST_LOG = 50_000_000
PATIENCE_AT_THE_END = 25.0
"""Seconds that supervisord gets to end its programs before we kill them."""

ENDED = re.compile(r"exited: (\S+) \((.*?); (?:not )?expected\)")
SPAWNED = re.compile(r"spawned: '(\S+)' with pid (\d+)")


def files_allowed() -> int:
    """How many files and connections one of our processes may have open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)


class Supervisor:
    """A set of programs kept running for as long as we live."""

    def __init__(self, folder: RunFolder, programs: Sequence[Program], console: Console) -> None:
        self._folder = folder
        self._programs = {program.name: program for program in programs}
        self._console = console
        self._socket = folder.socket("supervisor.sock")
        self._log = folder.logs / "supervisord.log"
        self._read_up_to = 0
        self._register = Register(register_file(folder))
        self._crashes: Counter[str] = Counter()
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Supervisor":
        config = self._folder.path / "supervisord.conf"
        text = supervisor_config(
            self._programs.values(),
            socket=self._socket,
            logs=self._folder.logs,
            pid_file=self._folder.path / "supervisord.pid",
            files=files_allowed(),
            as_root=os.geteuid() == 0,
        )
        write_private(config, text)
        for name in self._programs:
            _put_aside(log_of(name, self._folder.logs))
        self._log.unlink(missing_ok=True)
        self._log.touch(mode=0o600)
        with (self._folder.logs / "supervisord.out").open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(
                    sys.executable,
                    "-W",
                    "ignore",
                    "-m",
                    "supervisor.supervisord",
                    "-c",
                    str(config),
                ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder.path,
                env=_plain_environment(),
                start_new_session=True,  # a Ctrl-C is ours alone; we end the rest in order
                preexec_fn=end_with_parent,
            )
        self._register.add(SUPERVISOR, self._process.pid)
        self._watching = asyncio.create_task(self._watch())
        try:
            await wait_for(self._answers, "supervisord", limit=15)
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def start(self, *names: str) -> None:
        """Start these programs; whether they answer is another question."""
        await asyncio.gather(*(asyncio.to_thread(self._start, name) for name in names))

    def _start(self, name: str) -> None:
        program = self._programs[name]
        try:
            with self._rpc() as rpc:
                rpc.supervisor.startProcess(f"{program.group}:{name}", False)
        except xmlrpc.client.Fault as fault:
            raise WentWrong(f"{name} could not be started: {fault.faultString}") from None

    async def end(self, name: str) -> None:
        """Have one program end as its kind ends, and not start again; returns when it is gone."""
        await asyncio.to_thread(self._end, name)

    def _end(self, name: str) -> None:
        program = self._programs[name]
        with self._rpc(program.stop_seconds + 10) as rpc:
            rpc.supervisor.stopProcess(f"{program.group}:{name}", True)

    def pid_of(self, name: str) -> int:
        """The program's present process."""
        program = self._programs[name]
        with self._rpc() as rpc:
            info = rpc.supervisor.getProcessInfo(f"{program.group}:{name}")
        return int(info["pid"])  # type: ignore[index, call-overload]

    async def until_ready(
        self, name: str, look: Callable[[], Awaitable[bool]], *, limit: float = 180
    ) -> None:
        """Wait until this program answers; its own last words say why it does not."""

        async def look_unless_it_keeps_ending() -> bool:
            if self._crashes[name] >= TOO_MANY_CRASHES:
                raise WentWrong(f"{name} keeps ending")
            return await look()

        try:
            await wait_for(look_unless_it_keeps_ending, name, limit=limit, every=0.1)
        except WentWrong as error:
            raise WentWrong(f"{error}; its log ends with\n{self._last_words(name)}") from None

    def _last_words(self, name: str) -> str:
        log = log_of(name, self._folder.logs)
        text = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join(f"    | {line}" for line in text[-15:])

    async def ended(self) -> None:
        """Returns when supervisord is gone, which nobody asked it to."""
        if self._process:
            await self._process.wait()

    async def stop(self) -> None:
        """Leave no process behind: in order where that works, in any case in bounded time."""
        if self._watching:
            self._watching.cancel()
        try:
            if self._process and self._process.returncode is None:
                self._process.terminate()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), PATIENCE_AT_THE_END)
        finally:
            await self._kill_what_is_left()

    async def _kill_what_is_left(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._new_lines()
        await end_processes(self._register.processes(), patience=3)
        self._register.forget()
        with suppress(OSError):
            self._socket.unlink(missing_ok=True)
            if self._socket.parent != self._folder.path:
                self._socket.parent.rmdir()

    async def _watch(self) -> None:
        """Follow supervisord's log: remember each process, and say so when one has crashed."""
        ended: dict[str, tuple[str, float]] = {}
        while True:
            for line in self._new_lines():
                if crash := ENDED.search(line):
                    name, how = crash.groups()
                    self._crashes[name] += 1
                    ended[name] = (how, time.monotonic())
                elif (start := SPAWNED.search(line)) and start[1] in ended:
                    how, _ = ended.pop(start[1])
                    self._announce(start[1], how)
            for name, (how, when) in list(ended.items()):
                if time.monotonic() - when > 5:
                    del ended[name]
                    self._console.say(f"! {name} has ended ({how}) and does not start again")
            await asyncio.sleep(0.1)

    def _new_lines(self) -> list[str]:
        """What supervisord has logged since the last look; every process in it is registered."""
        with self._log.open() as log:
            log.seek(self._read_up_to)
            lines = log.readlines()
            if lines and not lines[-1].endswith("\n"):
                lines.pop()
            self._read_up_to += sum(len(line.encode()) for line in lines)
        for line in lines:
            if start := SPAWNED.search(line):
                self._register.add(start[1], int(start[2]))
        return lines

    def _announce(self, name: str, how: str) -> None:
        times = self._crashes[name]
        if times <= 3 or times % 20 == 0:
            again = "" if times == 1 else f", for the {times}th time" if times > 3 else ", again"
            log = log_of(name, self._folder.logs)
            self._console.say(f"! {name} ended ({how}) and was restarted{again}; see {log}")

    async def _answers(self) -> bool:
        if self._process and self._process.returncode is not None:
            words = (self._folder.logs / "supervisord.out").read_text(errors="replace")
            raise WentWrong(f"supervisord did not start:\n{words}")
        return await asyncio.to_thread(self._accepts_commands)

    def _accepts_commands(self) -> bool:
        try:
            with self._rpc() as rpc:
                return bool(rpc.supervisor.getState())
        except OSError:
            return False

    def _rpc(self, patience: float = 10) -> xmlrpc.client.ServerProxy:
        transport = _OverSocket(self._socket, patience)
        return xmlrpc.client.ServerProxy("http://supervisord", transport=transport)


def _put_aside(log: Path) -> None:
    """A log that has grown large becomes the old one, of which there is one."""
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_name(f"{log.name}.1"))


def register_file(folder: RunFolder) -> Path:
    return folder.path / "processes.json"


def _plain_environment() -> dict[str, str]:
    """What the programs inherit: nothing that the person's shell has set for other purposes."""
    kept = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "TZ", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ}


def end_with_parent() -> None:
    """Have the kernel end the child when we are killed and cannot do it; Linux only."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, patience: float) -> None:
        super().__init__("localhost", timeout=patience)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(os.fspath(self._path))
        except OSError:
            self.close()
            raise


class _OverSocket(xmlrpc.client.Transport):
    def __init__(self, path: Path, patience: float) -> None:
        super().__init__()
        self._path = path
        self._patience = patience

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        connection = _Connection(self._path, self._patience)
        self._connection = (str(host), connection)  # which the transport closes in the end
        return connection
