"""A real CalDAV server on this machine, and what its user does there."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import icalendar

from shared.http import BasicAuth, Client, TransportError

USER, PASSWORD = "doctor", "an-app-password-for-tests"
_CALENDAR = f"/{USER}/work/"
_START_LIMIT = 20.0


@dataclass(frozen=True, slots=True)
class Radicale:
    """One user with one calendar."""

    url: str
    client: Client

    def call(self, method: str, path: str, content: str | None = None) -> str:
        answer = self.client.request(
            method, path, content=content, headers={"Content-Type": "text/calendar"}
        )
        answer.raise_for_status()
        return answer.text

    def events(self) -> list[Any]:
        """All that stand in the calendar."""
        calendar = icalendar.Calendar.from_ical(self.call("GET", _CALENDAR))
        return calendar.walk("VEVENT")

    def put(self, name: str, *, start: str, end: str) -> None:
        """``start`` and ``end`` as the API writes instants."""
        lines = [
            *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Test//EN", "BEGIN:VEVENT"),
            *(f"UID:{name}@test", "DTSTAMP:20260101T000000Z", "SUMMARY:Dentist"),
            *(f"DTSTART:{_basic(start)}", f"DTEND:{_basic(end)}", "END:VEVENT", "END:VCALENDAR"),
        ]
        self.call("PUT", f"{_CALENDAR}{name}.ics", "".join(f"{line}\r\n" for line in lines))

    def delete(self, name: str) -> None:
        self.call("DELETE", f"{_CALENDAR}{name}.ics")


def _basic(instant: str) -> str:
    return f"{datetime.fromisoformat(instant):%Y%m%dT%H%M%SZ}"


@contextmanager
def radicale(folder: Path) -> Iterator[Radicale]:
    (folder / "users").write_text(f"{USER}:{PASSWORD}\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "radicale", "--config", ""),
        *("--hosts", f"127.0.0.1:{port}"),
        *("--storage-filesystem-folder", str(folder / "radicale")),
        *("--auth-type", "htpasswd", "--auth-htpasswd-filename", str(folder / "users")),
        *("--auth-htpasswd-encryption", "plain", "--auth-delay", "0"),
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    url = f"http://127.0.0.1:{port}"
    try:
        with Client(base_url=url, auth=BasicAuth(USER, PASSWORD), timeout=10) as client:
            _wait_for(client, process, folder / "log")
            server = Radicale(url, client)
            server.call("MKCALENDAR", _CALENDAR)
            yield server
    finally:
        process.kill()
        process.wait()


def _wait_for(client: Client, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.get("/")
        except TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text())
