"""Whoever is told: a stream that resumes, an integrator's server, a provider's calendar."""

import asyncio
import json
import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
from aiohttp import web

from local.console import WentWrong
from local.radicale import Radicale
from tests.torture.history import now
from tests.torture.people import Door
from tests.torture.world import Practice


@dataclass
class Stream:
    """A provider's server-sent events, resumed where they were cut."""

    door: Door
    practice: Practice
    last: str = ""
    """The id of the newest event it has had."""

    @property
    def channel(self) -> str:
        return f"provider.{self.practice.person.id}.bookings"

    async def live(self) -> None:
        """Until it is cancelled, so that what is late still arrives."""
        url = f"{self.door.base_url}/v1/realtime?channels={self.channel}"
        limit = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=40)
        while True:
            headers = {"Authorization": f"Bearer {self.practice.person.token}"}
            if self.last:
                headers["Last-Event-ID"] = self.last
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with self.door.session.get(url, headers=headers, timeout=limit) as answer:
                    if answer.status == 200:
                        await self._follow(answer)
            await asyncio.sleep(0.5)

    async def _follow(self, answer: aiohttp.ClientResponse) -> None:
        event = ""
        try:
            async for raw in answer.content:
                line = raw.decode().rstrip("\r\n")
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("id: "):
                    self.last = line.removeprefix("id: ")
                elif line.startswith("data: "):
                    data = json.loads(line.removeprefix("data: "))
                    self.door.history.add(
                        "stream",
                        start=now(),
                        provider=self.practice.person.id,
                        event=event,
                        id=self.last,
                        appointment=data.get("appointmentId"),
                        version=data.get("version"),
                    )
        except (aiohttp.ClientError, TimeoutError, OSError):
            return


@dataclass
class Integrator:
    """A server that takes webhooks."""

    door: Door

    async def live(self, practices: list[Practice], ready: asyncio.Event) -> None:
        """Until it is cancelled, so that what is late still arrives."""
        app = web.Application()
        app.router.add_post("/hook", self._take)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
            for practice in practices:
                path = f"{practice.path}/webhook-endpoints"
                answer = await practice.person.insist("POST", path, {"url": url})
                if answer.status != 201:
                    raise WentWrong(f"POST {path} answered {answer.status}: {answer.body}")
            ready.set()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        told = await request.json()
        self.door.history.add(
            "webhook",
            start=now(),
            id=request.headers.get("webhook-id"),
            event=told["type"],
            appointment=told["data"]["appointmentId"],
        )
        return web.Response()


@dataclass
class CalendarUser:
    """The provider enters private events into their own calendar, and deletes them again."""

    door: Door
    practice: Practice
    radicale: Radicale
    chance: random.Random

    async def live(self, until: float) -> None:
        entered: list[str] = []
        number = 0
        while now() < until:
            try:
                if entered and self.chance.random() < 0.4:
                    await self.radicale.delete(entered[0])
                    self.door.history.add("private", start=now(), name=entered.pop(0), gone=True)
                else:
                    number += 1
                    name = f"private-{number}"
                    start = self._somewhen()
                    await self.radicale.put(name, _event(name, start))
                    entered.append(name)
                    self.door.history.add(
                        "private", start=now(), name=name, begins=start.isoformat(), gone=False
                    )
            except WentWrong:
                pass  # it is down at this moment; what was meant may have happened or not
            await asyncio.sleep(self.chance.uniform(4, 10))

    def _somewhen(self) -> datetime:
        day = datetime.now(UTC) + timedelta(days=self.chance.randint(2, 20))
        return day.replace(hour=self.chance.randint(14, 20), minute=0, second=0, microsecond=0)


def _event(name: str, start: datetime) -> str:
    lines = [
        *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Torture//EN", "BEGIN:VEVENT"),
        *(f"UID:{name}@torture", "DTSTAMP:20260101T000000Z", "SUMMARY:Private"),
        f"DTSTART:{start:%Y%m%dT%H%M%SZ}",
        f"DTEND:{start + timedelta(minutes=30):%Y%m%dT%H%M%SZ}",
        *("END:VEVENT", "END:VCALENDAR"),
    ]
    return "".join(f"{line}\r\n" for line in lines)
