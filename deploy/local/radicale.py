"""A calendar server for one machine: Radicale, with one user and one calendar."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import aiohttp

from local.console import WentWrong
from local.folder import RunFolder, write_private
from local.processes import Program

USER = "doctor"
_CALENDAR = f"/{USER}/appointments/"
_NAMED = """<?xml version="1.0"?>
<C:mkcalendar xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><set><prop>
<displayname>Appointments</displayname>
</prop></set></C:mkcalendar>"""


@dataclass(frozen=True)
class Radicale:
    """The server of a run folder, as any calendar application sees it."""

    folder: Path
    port: int
    password: str

    @classmethod
    def of(cls, folder: RunFolder, *, port: int) -> Self:
        return cls(folder.path / "radicale", port, folder.secret("radicale"))

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def calendar_url(self) -> str:
        return self.url + _CALENDAR

    def program(self) -> Program:
        """Only this machine reaches it, and only who knows the password."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        users = self.folder / "users"
        write_private(users, f"{USER}:{self.password}\n")
        return Program(
            name="radicale",
            group="servers",
            command=(
                *(sys.executable, "-W", "ignore", "-m", "radicale", "--config", ""),
                *("--hosts", f"127.0.0.1:{self.port}", "--logging-level", "warning"),
                *("--storage-filesystem-folder", str(self.folder / "data")),
                *("--auth-type", "htpasswd", "--auth-htpasswd-filename", str(users)),
                *("--auth-htpasswd-encryption", "plain", "--auth-delay", "0"),
            ),
            folder=self.folder,
        )

    async def provide_calendar(self) -> None:
        """There is a calendar; what an earlier run has put into it stays."""
        status, text = await self._call("MKCALENDAR", _CALENDAR, _NAMED)
        if status not in (201, 405, 409):  # made, or there already
            raise WentWrong(f"Radicale makes no calendar: {status} {text[:300]}")

    async def content(self) -> str:
        """The whole calendar, as one file."""
        status, text = await self._call("GET", _CALENDAR)
        if status != 200:
            raise WentWrong(f"Radicale does not show its calendar: {status} {text[:300]}")
        return text

    async def put(self, name: str, event: str) -> None:
        """``event`` is a whole calendar object, as its file would be."""
        status, text = await self._call("PUT", f"{_CALENDAR}{name}.ics", event)
        if status not in (201, 204):
            raise WentWrong(f"Radicale does not take an event: {status} {text[:300]}")

    async def delete(self, name: str) -> None:
        status, text = await self._call("DELETE", f"{_CALENDAR}{name}.ics")
        if status not in (200, 204, 404):
            raise WentWrong(f"Radicale does not delete an event: {status} {text[:300]}")

    async def _call(self, method: str, path: str, body: str = "") -> tuple[int, str]:
        kind = "application/xml" if body.startswith("<") else "text/calendar"
        timeout = aiohttp.ClientTimeout(total=10)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(
                    method,
                    f"http://127.0.0.1:{self.port}{path}",
                    data=body.encode() or None,
                    headers={
                        "Content-Type": f"{kind}; charset=utf-8",
                        "Authorization": aiohttp.encode_basic_auth(USER, self.password),
                    },
                ) as answer,
            ):
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise WentWrong(f"Radicale did not answer {method} {path}: {error!r}") from None
