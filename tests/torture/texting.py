"""A desk whose patients get a text in a moment."""

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from local.console import WentWrong
from tests.torture.history import now
from tests.torture.patients import introduced
from tests.torture.people import Door
from tests.torture.world import Practice

_NOTICES = (2880, 2940, 3000)
"""Minutes before the start; so far apart that the same patient can be booked for each."""
_AHEAD, _SENT_BY = 9.0, 4.0
"""Seconds until a text is due, and then until it should have come."""


@dataclass
class TextingDesk:
    """Books appointments whose reminder by SMS is due in a moment, and cancels some before it."""

    door: Door
    practice: Practice
    chance: random.Random

    async def live(self, until: float) -> None:
        await self._schedule()
        while now() + _AHEAD < until:
            await self._round()

    async def _schedule(self) -> None:
        lines = [
            {"kind": "reminder", "channels": ["sms"], "minutes": minutes} for minutes in _NOTICES
        ]
        path = f"{self.practice.path}/notification-schedules/{self.practice.service_id}"
        answer = await self.practice.person.insist("PUT", path, {"lines": lines})
        if answer.is_final and answer.status != 200:
            raise WentWrong(f"PUT {path} answered {answer.status}: {answer.body}")

    async def _round(self) -> None:
        patient = await introduced(self.door)
        due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=_AHEAD)
        booked = []
        for minutes in _NOTICES:
            start = due + timedelta(minutes=minutes)
            wish = {
                "patientId": patient.id,
                "serviceId": self.practice.service_id,
                "mode": "phone",
                "start": f"{start:%Y-%m-%dT%H:%M:%SZ}",
                "override": {"reason": "they asked for it"},
            }
            made = await self.practice.person.insist(
                "POST", f"{self.practice.path}/appointments", wish
            )
            if made.status == 201:
                booked.append(made.body["id"])
                self.door.history.add(
                    "text wanted", start=now(), due=due.timestamp(), appointment=made.body["id"]
                )
        if booked[1:] and self.chance.random() < 0.5:
            await self._cancel(booked.pop())
        await asyncio.sleep(max(0.0, due.timestamp() + _SENT_BY - now()))
        for id_ in booked[1:]:
            await self._cancel(id_)

    async def _cancel(self, id_: str) -> None:
        await self.practice.person.insist("POST", f"/v1/appointments/{id_}/cancel", {})
