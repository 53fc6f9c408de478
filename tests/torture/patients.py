"""Patients: they search, hold, confirm, move, cancel, change their minds and fight for a time."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from local.console import WentWrong
from tests.torture.faults import HEALED_LIMIT
from tests.torture.history import Json, now
from tests.torture.people import Answer, Door, Person
from tests.torture.world import HOLD_SECONDS, Practice, wish_for

_EXPIRY_DAYS, _STAMPEDE_DAYS = 42, 48
"""From so many days ahead on, in which nobody else books."""


async def introduced(door: Door, sub: str | None = None) -> Person:
    """A patient whom bookings can write to. Raises WentWrong when that is never to be had."""
    person = door.person("patient", sub)
    profile = {
        "name": f"Patient {person.id[:8]}",
        "email": f"p{person.id}@example.org",
        "phone": f"+3021{int(person.id[:8], 16) % 10**8:08}",
        "timezone": "UTC",
    }
    deadline = now() + HEALED_LIMIT
    while True:
        answer = await person.ask("PATCH", f"/v1/patients/{person.id}", profile)
        if answer.status == 200:
            return person
        if now() > deadline:
            raise WentWrong(f"a patient cannot be introduced: {answer}")
        await asyncio.sleep(0.5)


@dataclass
class Patient:
    """One person, doing one thing after the other."""

    person: Person
    practices: Sequence[Practice]
    chance: random.Random
    booked: list[Json] = field(default_factory=list)

    async def live(self, until: float) -> None:
        while now() < until:
            await self._act()
            await asyncio.sleep(self.chance.uniform(0.1, 1.2))

    async def _act(self) -> None:
        whim = self.chance.random()
        if whim < 0.12:
            await self._look()
        elif self.booked and whim < 0.32:
            await self._cancel(self.booked.pop(self.chance.randrange(len(self.booked))))
        elif self.booked and whim < 0.52:
            await self._move(self.chance.randrange(len(self.booked)))
        else:
            await self._book()

    async def _look(self) -> None:
        paths = [f"/v1/users/{self.person.id}/{what}" for what in ("appointments", "notifications")]
        if self.booked:
            path = f"/v1/appointments/{self.chance.choice(self.booked)['id']}"
            paths += [path, f"{path}/audit", f"{path}/calendar.ics"]
        await self.person.ask("GET", self.chance.choice(paths))

    async def _hold(self, practice: Practice, *, moving: Json | None = None) -> Answer | None:
        """A time that is free in the lists; many want the first ones."""
        slots = await practice.timeslots(self.person, offset=self.chance.randint(2, 38))
        if not slots:
            return None
        place = int(self.chance.random() ** 2 * len(slots))
        wish = wish_for(practice, slots[place])
        if moving is not None:
            wish["rescheduleOf"] = moving["id"]
        answer = await self.person.insist("POST", "/v1/reservations", wish, again=self._doubts(0.1))
        return answer if answer.status in (200, 201) else None

    async def _book(self) -> None:
        practice = self.chance.choice(self.practices)
        held = await self._hold(practice)
        if held is None:
            return
        token = held.body["reservationToken"]
        whim = self.chance.random()
        if whim < 0.12:
            await self.person.ask("DELETE", f"/v1/reservations/{token}")
            return
        if whim < 0.24:
            await self.person.insist("POST", f"/v1/reservations/{token}/extend")
        answer = await self.person.insist(
            "POST", "/v1/bookings", {"reservationToken": token}, again=self._doubts(0.3)
        )
        if answer.status == 201:
            self.booked.append({"id": answer.body["id"], "practice": practice})

    async def _cancel(self, appointment: Json) -> None:
        path = f"/v1/appointments/{appointment['id']}/cancel"
        await self.person.insist("POST", path, {}, again=self._doubts(0.3))

    async def _move(self, place: int) -> None:
        old = self.booked[place]
        held = await self._hold(old["practice"], moving=old)
        if held is None:
            return
        answer = await self.person.insist(
            "POST",
            f"/v1/appointments/{old['id']}/reschedule",
            {"reservationToken": held.body["reservationToken"]},
            again=self._doubts(0.3),
        )
        if answer.status == 200 and answer.body["status"] == "confirmed":
            self.booked[place] = {"id": answer.body["id"], "practice": old["practice"]}
        elif answer.status != 200:
            await self.person.ask("DELETE", f"/v1/reservations/{held.body['reservationToken']}")

    def _doubts(self, share: float) -> bool:
        return self.chance.random() < share


@dataclass
class Crowd:
    """Many who nobody has seen before, at one time in the same moment."""

    door: Door
    practices: Sequence[Practice]
    chance: random.Random
    size: int

    async def live(self, until: float, *, pause: float) -> None:
        number = 0
        while now() < until - 5:
            practice = self.practices[number % len(self.practices)]
            await self._rush(practice, number)
            number += 1
            await asyncio.sleep(pause * self.chance.uniform(0.7, 1.3))

    async def _rush(self, practice: Practice, number: int) -> None:
        people = [self.door.person() for _ in range(self.size)]
        days = _STAMPEDE_DAYS + number // 20 % 6
        slots = await practice.timeslots(people[0], days=1, offset=days)
        if not slots:
            return
        slot = self.chance.choice(slots)
        wish = wish_for(practice, slot)
        start = now()
        answers = await asyncio.gather(
            *(person.ask("POST", "/v1/reservations", wish, key=person.id) for person in people)
        )
        self.door.history.add(
            "stampede",
            start=start,
            end=now(),
            provider=practice.person.id,
            slot=slot["id"],
            capacity=slot["capacityLeft"],
            statuses=[answer.status for answer in answers],
        )
        for person, answer in zip(people, answers, strict=True):
            if answer.status == 201:
                await person.ask("DELETE", f"/v1/reservations/{answer.body['reservationToken']}")


@dataclass
class Forgetful:
    """Holds a time, lets it expire, and tries too late; somebody else waits for that moment."""

    door: Door
    practice: Practice
    chance: random.Random

    async def live(self, until: float) -> None:
        """Begins nothing that would last much longer than the run, but at once at its start."""
        await self._forget()
        while now() + HOLD_SECONDS < until:
            await asyncio.sleep(self.chance.uniform(0.5, 2))
            await self._forget()

    async def _forget(self) -> None:
        first, second = await introduced(self.door), self.door.person()
        slots = await self.practice.timeslots(first, days=5, offset=_EXPIRY_DAYS)
        if not slots:
            return
        wish = wish_for(self.practice, self.chance.choice(slots))
        held = await first.insist("POST", "/v1/reservations", wish)
        if held.status != 201:
            return
        expires_at = datetime.fromisoformat(held.body["expiresAt"]).timestamp()
        await asyncio.sleep(max(0.0, expires_at - now() + 0.05))
        # Half of the late ones come before anybody has cleared their hold away.
        token = {"reservationToken": held.body["reservationToken"]}
        late = asyncio.create_task(first.insist("POST", "/v1/bookings", token))
        booked = Answer(0)
        while booked.status != 201 and now() < expires_at + 30:
            booked = await second.ask("POST", "/v1/reservations", wish)
            if booked.status != 201:
                await asyncio.sleep(0.15)
        seen = now()
        await late
        self.door.history.add(
            "expiry",
            start=expires_at,
            end=seen,
            appointment=held.body["appointmentId"],
            booked=booked.body["appointmentId"] if booked.status == 201 else None,
        )
        if booked.status == 201:
            await second.ask("DELETE", f"/v1/reservations/{booked.body['reservationToken']}")
