"""People who book, move, cancel, ask and decide at a steady pace, and want every step answered."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import uuid4

import aiohttp

from local.api import Answer, Api
from local.console import WentWrong
from local.demo_data import Clinic, Provider

Json = dict[str, Any]

ASKS_FIRST = "Treatment plan review"
"""The demo's service that needs approval; its provider is asked for nothing else."""


class NothingFree(Exception):
    """This provider's timeslots have all been used; on a slow machine that may happen."""


class StepFailed(Exception):
    """Was not answered as it should have been; noted already, and the story is broken off."""


@dataclass
class Traffic:
    """What was asked and answered so far."""

    clinic: Clinic
    api: Api
    per_second: float
    failures: list[str] = field(default_factory=list)
    answered: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    kept: list[str] = field(default_factory=list)
    """Appointments that are confirmed for good."""
    ended: list[str] = field(default_factory=list)
    """Appointments that were confirmed and then moved away or cancelled."""
    _next_at: float = 0.0
    _at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    """So that a machine that is busy otherwise is not drowned, and fails nobody for that."""
    _slots: dict[str, list[Json]] = field(default_factory=dict)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, base_url: str, clinic: Clinic, *, per_second: float
    ) -> "AsyncIterator[Traffic]":
        # A gateway that has read its configuration anew hangs up on who is idle: each request has
        # a connection of its own.
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            timeout=aiohttp.ClientTimeout(total=30),
        ) as session:
            yield cls(clinic, Api(base_url, session), per_second)

    @asynccontextmanager
    async def flowing(self, people: int = 12) -> AsyncIterator[None]:
        """People are at it while the block runs; at its end each finishes what they are doing."""
        for provider in self.clinic.providers:
            if provider.id not in self._slots:
                await self.fill_up(provider)
        self._over.clear()
        self._next_at = monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(people):
                group.create_task(self._person(number))
            try:
                yield
            finally:
                self._over.set()

    async def until(self, more: int) -> None:
        """Until so many more requests have been answered."""
        wanted = self.answered.total() + more
        while self.answered.total() < wanted:  # noqa: ASYNC110 -- nobody tells
            await asyncio.sleep(0.05)

    async def _person(self, number: int) -> None:
        patient, token = self.clinic.patients[number]
        provider = self.clinic.providers[number % len(self.clinic.providers)]
        stories = itertools.cycle((self._keep, self._move, self._cancel, self._release))
        for _ in range(number % 4):
            next(stories)
        while not self._over.is_set():
            with suppress(StepFailed):
                try:
                    await next(stories)(provider, patient.id, token)
                except NothingFree:
                    await self._look_around(provider, patient.id, token)

    # --- Stories -------------------------------------------------------------------------------

    async def _keep(self, provider: Provider, patient_id: str, token: str) -> None:
        booked = await self._book(provider, token)
        self.kept.append(booked)
        await self._ask(200, "GET", f"/v1/appointments/{booked}", token)
        await self._ask(200, "GET", f"/v1/appointments/{booked}/audit", token)
        await self._look_around(provider, patient_id, token)

    async def _move(self, provider: Provider, patient_id: str, token: str) -> None:
        first = await self._book(provider, token)
        held = await self.reserve(provider, token, rescheduleOf=first)
        body = {"reservationToken": held["reservationToken"]}
        moved = await self._ask(200, "POST", f"/v1/appointments/{first}/reschedule", token, body)
        await self._decide(provider, moved)
        self.ended.append(first)
        self.kept.append(moved["id"])

    async def _cancel(self, provider: Provider, patient_id: str, token: str) -> None:
        booked = await self._book(provider, token)
        path = f"/v1/appointments/{booked}/cancel"
        await self._ask(200, "POST", path, token, {"reason": "another day"})
        self.ended.append(booked)

    async def _release(self, provider: Provider, patient_id: str, token: str) -> None:
        await self.release(await self.reserve(provider, token), token)

    async def _book(self, provider: Provider, token: str) -> str:
        held = await self.reserve(provider, token)
        body = {"reservationToken": held["reservationToken"]}
        booked = await self._ask(201, "POST", "/v1/bookings", token, body)
        await self._decide(provider, booked)
        return str(booked["id"])

    async def _decide(self, provider: Provider, appointment: Json) -> None:
        if appointment["status"] == "pending":
            path = f"/v1/appointments/{appointment['id']}/approve"
            await self._ask(200, "POST", path, provider.token, {})

    async def reserve(self, provider: Provider, token: str, **more: str) -> Json:
        """A timeslot that nobody else here has had. Raises NothingFree when all have been used."""
        if not self._slots[provider.id]:
            raise NothingFree
        body = {
            "providerId": provider.id,
            "serviceId": service_of(provider)["id"],
            "timeslotId": self._slots[provider.id].pop(0)["id"],
        }
        return await self._ask(201, "POST", "/v1/reservations", token, body | more)

    async def release(self, held: Json, token: str) -> None:
        await self._ask(204, "DELETE", f"/v1/reservations/{held['reservationToken']}", token)

    async def _look_around(self, provider: Provider, patient_id: str, token: str) -> None:
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)
        service_id = service_of(provider)["id"]
        offered = f"/v1/providers/{provider.id}/availability?serviceId={service_id}&date={tomorrow}"
        for path, by in (
            (offered, token),
            (f"/v1/users/{patient_id}/appointments?filter=upcoming", token),
            (f"/v1/providers/{provider.id}/calendar-feed", provider.token),
            (f"/v1/users/{patient_id}/notification-deliveries", token),
        ):
            await self._ask(200, "GET", path, by)

    # --- Steps ---------------------------------------------------------------------------------

    async def fill_up(self, provider: Provider) -> None:
        """Find timeslots that do not overlap each other."""
        first = datetime.now(UTC).date() + timedelta(days=3)
        path = (
            f"/v1/providers/{provider.id}/availability?serviceId={service_of(provider)['id']}"
            f"&from={first}&to={first + timedelta(days=60)}&status=available"
        )
        found: list[Json] = []
        answer = await self._ask(200, "GET", path, self.clinic.patients[0][1])
        for slot in answer["timeslots"]:
            if not found or slot["start"] >= found[-1]["end"]:
                found.append(slot)
        self._slots[provider.id] = found[::2]

    async def _ask(
        self, wanted: int, method: str, path: str, token: str, body: Json | None = None
    ) -> Json:
        step = f"{method} {path}"
        headers = {"Idempotency-Key": uuid4().hex} if method == "POST" else {}
        try:
            async with self._at_once:
                await self._turn()
                began = monotonic()
                answer = await self.api.call(method, path, token=token, body=body, headers=headers)
        except WentWrong as error:
            self.failures.append(str(error))
            raise StepFailed from None
        self.slowest = max(self.slowest, (monotonic() - began, step))
        self.answered[f"{method} {answer.status}"] += 1
        if answer.status != wanted:
            self.failures.append(f"{step}: {answer.status} {answer.text[:300]}")
            raise StepFailed
        return _content(answer)

    async def _turn(self) -> None:
        self._next_at = max(self._next_at + 1 / self.per_second, monotonic() - 1)
        await asyncio.sleep(max(0.0, self._next_at - monotonic()))


def service_of(provider: Provider) -> Mapping[str, str]:
    """The one that asks first, where there is one."""
    return next((s for s in provider.services if s["title"] == ASKS_FIRST), provider.services[0])


def _content(answer: Answer) -> Json:
    is_json = answer.text and "json" in answer.headers.get("Content-Type", "")
    content: Json = answer.json if is_json else {}
    return content
