"""Providers and their staff: they approve, refuse, change hours, close days and book for others."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg

from tests.torture.history import now
from tests.torture.patients import introduced
from tests.torture.people import Door, Person, query
from tests.torture.stand import Stand
from tests.torture.world import Practice, set_hours


@dataclass
class Approver:
    """Answers requests, now and then twice at once and in both ways."""

    practice: Practice
    chance: random.Random

    async def live(self, until: float) -> None:
        first = datetime.now(UTC)
        span = {"from": f"{first:%Y-%m-%dT%H:%M:%SZ}"}
        span["to"] = f"{first + timedelta(days=60):%Y-%m-%dT%H:%M:%SZ}"
        path = f"{self.practice.path}/appointments?{query(span)}&status=pending&limit=20"
        while now() < until:
            answer = await self.practice.person.ask("GET", path)
            if answer.status == 200:
                await asyncio.gather(*(self._answer(each["id"]) for each in answer.body["items"]))
            await asyncio.sleep(self.chance.uniform(1, 3))

    async def _answer(self, id_: str) -> None:
        whim = self.chance.random()
        verbs = ["approve"] if whim < 0.6 else ["reject"] if whim < 0.8 else ["approve", "reject"]
        if whim > 0.9:
            verbs = ["approve", "approve"]
        person = self.practice.person
        await asyncio.gather(
            *(person.insist("POST", f"/v1/appointments/{id_}/{verb}", {}) for verb in verbs)
        )


@dataclass
class Changer:
    """Opens and closes: other hours, and exceptions that come and go."""

    practice: Practice
    chance: random.Random

    async def live(self, until: float) -> None:
        person, path = self.practice.person, f"{self.practice.path}/exceptions"
        while now() < until:
            if self.chance.random() < 0.4:
                await set_hours(person, self.chance.choice(["07:00", "08:30"]), "21:00")
            else:
                day = datetime.now(UTC) + timedelta(days=self.chance.randint(2, 38))
                start = day.replace(hour=self.chance.randint(7, 18), minute=0, second=0)
                closed = {"kind": "blocked", "start": f"{start:%Y-%m-%dT%H:%M:%SZ}"}
                closed["end"] = f"{start + timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ}"
                made = await person.insist("POST", path, closed)
                await asyncio.sleep(self.chance.uniform(1, 4))
                if made.status == 201:
                    await person.ask("DELETE", f"{path}/{made.body['id']}")
            await asyncio.sleep(self.chance.uniform(2, 5))


@dataclass
class Desk:
    """Books for a patient, outside the hours now and then, and cancels some of it."""

    door: Door
    practice: Practice
    chance: random.Random

    async def live(self, until: float) -> None:
        patient = await introduced(self.door)
        person = self.practice.person
        while now() < until:
            day = datetime.now(UTC) + timedelta(days=self.chance.randint(2, 38))
            start = day.replace(
                hour=self.chance.randint(6, 21), minute=self.chance.choice((0, 30)), second=0
            )
            wish = {
                "patientId": patient.id,
                "serviceId": self.practice.service_id,
                "mode": "phone",
                "start": f"{start:%Y-%m-%dT%H:%M:%SZ}",
                "override": {"reason": "they asked for it"},
            }
            path = f"{self.practice.path}/appointments"
            made = await person.insist("POST", path, wish, again=self.chance.random() < 0.3)
            if made.status == 201 and self.chance.random() < 0.5:
                await asyncio.sleep(self.chance.uniform(0, 3))
                await person.insist("POST", f"/v1/appointments/{made.body['id']}/cancel", {})
            await asyncio.sleep(self.chance.uniform(0.5, 3))


_LOOKS, _BETWEEN_LOOKS = 8, 0.05
"""Seconds; what is sent again passes quickly."""


@dataclass
class Operator:
    """Sends bookings' history to availability once more, beside all that goes on."""

    stand: Stand
    person: Person
    chance: random.Random
    _noted: set[str] = field(default_factory=set)
    _versions: dict[str, int] = field(default_factory=dict)

    async def _note_arrivals(self) -> None:
        """When events arrived the first time, which the inbox forgets with the second."""
        try:
            rows = await self.stand.rows(
                "availability",
                "SELECT event_id, received_at FROM inbox WHERE consumer = 'availability'",
            )
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return
        new = {str(r["event_id"]): r["received_at"].timestamp() for r in rows}
        for known in self._noted & new.keys():
            del new[known]
        self._noted |= new.keys()
        self.person.door.history.add("arrivals", start=now(), at=new)

    async def _look_at_versions(self) -> None:
        """Whether availability knows less of an appointment than it has known before."""
        try:
            rows = await self.stand.rows("availability", "SELECT id, version FROM appointments")
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return
        seen = {str(row["id"]): row["version"] for row in rows}
        back = [id_ for id_, version in seen.items() if version < self._versions.get(id_, 0)]
        self._versions |= seen
        self.person.door.history.add("versions", start=now(), known=len(seen), back=back)

    async def live(self, until: float, *, pause: Callable[[], float]) -> None:
        while now() + 5 < until:
            await asyncio.sleep(min(pause(), max(0.0, until - now())))
            await self._note_arrivals()
            await self._look_at_versions()
            start = now()
            sending = asyncio.create_task(
                self.stand.command(
                    *("shared.messaging.admin", "republish"),
                    *("--from", "bookings", "--to", "availability"),
                )
            )
            while not sending.done():
                await self._look_at_versions()
                await asyncio.wait({sending}, timeout=_BETWEEN_LOOKS)
            code, output = sending.result()
            self.person.door.history.add(
                "republish", start=start, end=now(), code=code, output=output[-200:]
            )
            for _ in range(_LOOKS):
                await self._look_at_versions()
                await asyncio.sleep(_BETWEEN_LOOKS)
