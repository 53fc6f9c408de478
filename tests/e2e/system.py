"""The whole system, started as `make run` starts it, and clients of its gateway."""

import asyncio
import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_binary_file
from email.message import Message
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from shared.http import AsyncClient, Response, TransportError

CHECKOUT = Path(__file__).parents[2]
START_LIMIT = 180.0
NO_SETTINGS: Mapping[str, str] = {}

Json = dict[str, Any]


@dataclass
class System:
    """A running system and what `demo.json` says of it."""

    folder: Path
    process: "subprocess.Popen[bytes]"
    demo: Json

    @property
    def base_url(self) -> str:
        return str(self.demo["baseUrl"])

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def pid_of(self, name: str) -> int:
        """The present process of a program, such as ``bookings-api``."""
        known = json.loads((self.folder / "processes.json").read_text())
        return int(next(entry["pid"] for entry in known if entry["name"] == name))

    def kill(self, name: str) -> None:
        os.kill(self.pid_of(name), signal.SIGKILL)

    @contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """The programs stand still, alive and deaf."""
        pids = [self.pid_of(name) for name in names]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    async def query(self, service: str, statement: str, *values: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.demo["databases"][service])
        try:
            return await connection.fetch(statement, *values)
        finally:
            await connection.close()

    def variable(self, name: str) -> str:
        """What commands beside the system are told, such as ``AMQP_URL``."""
        known = (self.folder / "env").read_text().splitlines()
        pairs = (line.removeprefix("export ").partition("=") for line in known)
        return next(shlex.split(value)[0] for each, _, value in pairs if each == name)

    def mails(self) -> list[Message]:
        """Every message that has arrived at the SMTP server."""
        found = []
        for path in (Path(self.demo["mailDir"]) / "new").iterdir():
            with path.open("rb") as file:
                found.append(message_from_binary_file(file))
        return found

    def tokens(self, count: int, role: str = "patient") -> list[tuple[str, str]]:
        """Subjects and tokens of people whom nobody knows yet, as `make token` prints them."""
        command = [sys.executable, "-m", "local", "token", "--role", role, "--count", str(count)]
        output = subprocess.run(
            [*command, "--run-dir", str(self.folder)],
            env=environment(),
            cwd=CHECKOUT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        return [(sub, token) for sub, token in (line.split() for line in output.splitlines())]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(CHECKOUT / "deploy")}


@contextmanager
def started(
    folder: Path, *options: str, settings: Mapping[str, str] = NO_SETTINGS
) -> Iterator[System]:
    """A system of its own in ``folder``; ended by SIGTERM, and nothing of it may stay."""
    log = folder.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "local", "run", "--no-story", "--port", "0"),
                *("--run-dir", str(folder), "--end-with-parent", *options),
            ],
            env=environment() | settings,
            cwd=CHECKOUT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        demo = _wait_for_demo(folder / "demo.json", process, log)
        yield System(folder, process, demo)
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
        if process.poll() is None:
            process.kill()


def _wait_for_demo(file: Path, process: "subprocess.Popen[bytes]", log: Path) -> Json:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if file.exists():
            demo: Json = json.loads(file.read_text())
            return demo
        time.sleep(0.1)
    raise AssertionError(f"the system did not start:\n{log.read_text()[-4000:]}")


async def until(
    look: Callable[[], Awaitable[Any]], what: str, *, limit: float = 60, pause: float = 0.05
) -> Any:
    """The first true thing that ``look`` gives; fails after ``limit`` seconds."""
    deadline = time.monotonic() + limit
    while True:
        seen = await look()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"not seen within {limit} s: {what}"
        await asyncio.sleep(pause)


class Caller:
    """One person's way through the gateway."""

    def __init__(self, client: AsyncClient, token: str, sub: str) -> None:
        self._client = client
        self.token = token
        self._headers = {"Authorization": f"Bearer {token}"}
        self.sub = sub

    async def call(self, method: str, path: str, body: Json | None = None, **more: Any) -> Response:
        """One request; every POST has a new Idempotency-Key unless ``key`` is given."""
        headers = self._headers | more.pop("headers", {})
        if method == "POST":
            headers["Idempotency-Key"] = more.pop("key", None) or uuid4().hex
        content = {"json": body} if body is not None else {}
        return await self._client.request(method, path, headers=headers, **content, **more)

    async def raw(self, method: str, path: str, **more: Any) -> Response:
        """One request with nothing added but who asks, and that what it sends is JSON."""
        headers = self._headers | {"Content-Type": "application/json"}
        return await self._client.request(method, path, headers=headers, **more)

    async def insist(
        self, method: str, path: str, body: Json | None = None, *, limit: float = 30
    ) -> Response:
        """The same request with the same key until there is an answer other than 503."""
        key = secrets.token_hex(8)
        deadline = time.monotonic() + limit
        while True:
            try:
                answer = await self.call(method, path, body, key=key)
            except TransportError:
                answer = None
            in_progress = answer is not None and (
                answer.status_code == 503
                or (answer.status_code == 409 and "in_progress" in answer.json()["code"])
            )
            if answer is not None and not in_progress:
                return answer
            assert time.monotonic() < deadline, f"no answer to {method} {path}"
            await asyncio.sleep(0.1)

    async def timeslots(self, provider: Json, service: Json, days: int = 14) -> list[Json]:
        """What can be booked from tomorrow on."""
        first = datetime.now(UTC).date() + timedelta(days=1)
        answer = await self.call(
            "GET",
            f"/v1/providers/{provider['id']}/availability",
            params={
                "serviceId": service["id"],
                "from": first.isoformat(),
                "to": (first + timedelta(days=days - 1)).isoformat(),
                "status": "available",
            },
        )
        assert answer.status_code == 200, answer.text
        slots: list[Json] = answer.json()["timeslots"]
        return slots

    async def reserve(self, provider: Json, service: Json, slot: Json) -> Response:
        return await self.insist(
            "POST",
            "/v1/reservations",
            {
                "providerId": provider["id"],
                "serviceId": service["id"],
                "timeslotId": slot["id"],
            },
        )
