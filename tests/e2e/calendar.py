"""A calendar of a provider's own, and what its user does there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import icalendar

from local.alone import alone
from local.ports import Ports
from local.radicale import USER, Radicale


@asynccontextmanager
async def own_calendar(folder: Path) -> AsyncIterator[Radicale]:
    with Ports.held(folder / "ports.json") as ports:
        server = Radicale(folder / "radicale", ports["radicale"], "an-app-password-for-tests")
        with alone(server.program(), port=server.port):
            await server.provide_calendar()
            yield server


def login(calendar: Radicale) -> dict[str, str]:
    """What connects it."""
    return {
        "kind": "caldav",
        "url": calendar.url,
        "username": USER,
        "password": calendar.password,
    }


async def events_in(calendar: Radicale) -> list[Any]:
    """All that stand in the calendar."""
    return icalendar.Calendar.from_ical(await calendar.content()).walk("VEVENT")


async def enter(calendar: Radicale, name: str, *, start: str, end: str) -> None:
    """``start`` and ``end`` as the API writes instants."""
    lines = [
        *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Test//EN", "BEGIN:VEVENT"),
        *(f"UID:{name}@test", "DTSTAMP:20260101T000000Z", "SUMMARY:Dentist"),
        *(f"DTSTART:{_basic(start)}", f"DTEND:{_basic(end)}", "END:VEVENT", "END:VCALENDAR"),
    ]
    await calendar.put(name, "".join(f"{line}\r\n" for line in lines))


def _basic(instant: str) -> str:
    return f"{datetime.fromisoformat(instant):%Y%m%dT%H%M%SZ}"
