"""Two real CalDAV servers that we did not write, each with a user and an empty calendar."""

import base64
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from local.alone import alone
from local.ports import Ports
from local.processes import Program
from local.radicale import USER, Radicale

PASSWORD = "an-app-password-for-tests"


@dataclass(frozen=True, slots=True)
class DavServer:
    name: str
    url: str
    calendars: str
    """The path in which the user's calendars lie."""

    def new_calendar(self) -> str:
        """The path of a calendar that nobody else uses."""
        path = f"{self.calendars}{uuid4().hex}/"
        self.call("MKCALENDAR", path)
        return path

    def call(self, method: str, path: str, body: str = "", **headers: str) -> bytes:
        """What another calendar application does there."""
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(
            self.url + path,
            data=body.encode() or None,
            method=method,
            headers={"Authorization": f"Basic {token}", **headers},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            content: bytes = answer.read()
            return content

    def put(self, path: str, event: str) -> None:
        self.call("PUT", path, an_object(event), **{"Content-Type": "text/calendar"})


def an_object(event: str) -> str:
    """``DTSTART:…`` and other lines as a calendar object; without a UID it gets a new one."""
    uid = "" if "UID:" in event else f"UID:{uuid4()}\n"
    text = (
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Test//EN\nBEGIN:VEVENT\n"
        f"{uid}DTSTAMP:20260101T000000Z\n{event.strip()}\nEND:VEVENT\nEND:VCALENDAR\n"
    )
    return text.replace("\n", "\r\n")


@contextmanager
def radicale(folder: Path) -> Iterator[DavServer]:
    with Ports.held(folder / "ports.json") as ports:
        server = Radicale(folder, ports["radicale"], PASSWORD)
        with alone(server.program(), port=server.port):
            yield DavServer("radicale", f"http://127.0.0.1:{server.port}", f"/{USER}/")


@contextmanager
def xandikos(folder: Path) -> Iterator[DavServer]:
    with Ports.held(folder / "ports.json") as ports:
        port = ports["xandikos"]
        command = (
            *(sys.executable, "-m", "xandikos.web", "--defaults"),
            *("-d", str(folder / "xandikos"), "--state-dir", str(folder / "state")),
            *("-l", "127.0.0.1", "-p", str(port), "--current-user-principal", f"/{USER}/"),
        )
        program = Program(name="xandikos", group="servers", command=command, folder=folder)
        with alone(program, port=port):
            yield DavServer("xandikos", f"http://127.0.0.1:{port}", f"/{USER}/calendars/")
