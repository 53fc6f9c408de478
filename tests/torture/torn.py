"""Somebody who wants to be in two places at once."""

import asyncio
import random
from dataclasses import dataclass
from datetime import datetime

from tests.torture.history import Json, now
from tests.torture.people import Answer, Door, Person
from tests.torture.world import Practice, wish_for

_DAYS_AHEAD = (2, 38)


@dataclass
class Torn:
    """Holds overlapping times of two providers and confirms both in the same moment, again and
    again; of each two one may win."""

    door: Door
    person: Person
    practices: tuple[Practice, Practice]
    chance: random.Random

    async def live(self, until: float) -> None:
        while now() < until:
            await self._want_both()
            await asyncio.sleep(self.chance.uniform(0.2, 1.0))

    async def _want_both(self) -> None:
        offset = self.chance.randint(*_DAYS_AHEAD)
        offered = await asyncio.gather(
            *(each.timeslots(self.person, days=1, offset=offset) for each in self.practices)
        )
        pairs = [(a, b) for a in offered[0] for b in offered[1] if _overlap(a, b)]
        if not pairs:
            return
        slots = self.chance.choice(pairs)
        wishes = [wish_for(*each) for each in zip(self.practices, slots, strict=True)]
        held = await asyncio.gather(
            *(self.person.insist("POST", "/v1/reservations", wish) for wish in wishes)
        )
        tokens = [each.body["reservationToken"] for each in held if each.status == 201]
        answers: list[Answer] = []
        if len(tokens) == len(self.practices):
            start = now()
            answers = await asyncio.gather(*map(self._confirm, tokens))
            self.door.history.add(
                "torn",
                start=start,
                end=now(),
                patient=self.person.id,
                appointments=[each.body["appointmentId"] for each in held],
                answers=[_told(each) for each in answers],
            )
        for token in tokens:
            await self.person.ask("DELETE", f"/v1/reservations/{token}")
        for answer in answers:
            if answer.status == 201:
                path = f"/v1/appointments/{answer.body['id']}/cancel"
                await self.person.insist("POST", path, {})

    async def _confirm(self, token: str) -> Answer:
        return await self.person.insist("POST", "/v1/bookings", {"reservationToken": token})


def _overlap(one: Json, other: Json) -> bool:
    a, b, c, d = (
        datetime.fromisoformat(each[edge]) for each in (one, other) for edge in ("start", "end")
    )
    return a < d and c < b


def _told(answer: Answer) -> Json:
    busy = answer.body.get("appointmentId") if isinstance(answer.body, dict) else None
    return {"status": answer.status, "code": answer.code, "busy_with": busy}
