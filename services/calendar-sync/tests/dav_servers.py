"""Two real CalDAV servers that we did not write, each with a user and an empty calendar."""

import base64
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

USER, PASSWORD = "doctor", "an-app-password-for-tests"
_WAIT = 20.0


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
    (folder / "users").write_text(f"{USER}:{PASSWORD}\n")

    def command(port: int) -> list[str]:
        return [
            *(sys.executable, "-m", "radicale", "--config", ""),
            *("--hosts", f"127.0.0.1:{port}"),
            *("--storage-filesystem-folder", str(folder / "radicale")),
            *("--auth-type", "htpasswd", "--auth-htpasswd-filename", str(folder / "users")),
            *("--auth-htpasswd-encryption", "plain", "--auth-delay", "0"),
        ]

    with _running(command, folder) as url:
        yield DavServer("radicale", url, f"/{USER}/")


@contextmanager
def xandikos(folder: Path) -> Iterator[DavServer]:
    def command(port: int) -> list[str]:
        return [
            *(sys.executable, "-m", "xandikos.web", "--defaults"),
            *("-d", str(folder / "xandikos"), "--state-dir", str(folder / "state")),
            *("-l", "127.0.0.1", "-p", str(port), "--current-user-principal", f"/{USER}/"),
        ]

    with _running(command, folder) as url:
        yield DavServer("xandikos", url, f"/{USER}/calendars/")


@contextmanager
def _running(command: Callable[[int], list[str]], folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command(port), stdout=log, stderr=log, cwd=folder)
    try:
        _wait_for(f"http://127.0.0.1:{port}/", process, folder)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _wait_for(url: str, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    until = time.monotonic() + _WAIT
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError((folder / "log").read_text())
