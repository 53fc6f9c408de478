"""Stand-ins for availability and bookings: real HTTP servers that say what the test tells them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from aiohttp import web

from shared.fields import instant_text

Reply = tuple[int, dict[str, Any]]


class Others:
    """Both services behind one address; ``offer`` and ``hold`` make their answers."""

    def __init__(self) -> None:
        self.offer: Callable[[dict[str, Any]], Reply] = offered
        self.hold: Callable[[dict[str, Any]], Reply] = self._hold
        self.extend: Callable[[dict[str, Any]], Reply] = extended
        self.outcome: Callable[[str], str] = lambda _: "held"
        self.outcomes_status = 200
        self.delay: float = 0
        self.holds: dict[tuple[str, str], UUID] = {}
        self.asked: list[dict[str, Any]] = []
        self.checked: list[dict[str, Any]] = []
        self.extensions: list[dict[str, Any]] = []
        self.was_asked_for_longer = asyncio.Event()

    def _hold(self, body: dict[str, Any]) -> Reply:
        self.asked.append(body)
        appointment = self.holds.setdefault((body["userId"], body["timeslotId"]), uuid4())
        now = datetime.now(UTC)
        return 201, {
            "appointmentId": str(appointment),
            "expiresAt": instant_text(now + timedelta(seconds=120)),
            "serverTime": instant_text(now),
        }

    async def _check(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.checked.append(body)
        return await self._answer(self.offer(body))

    async def _claim(self, request: web.Request) -> web.Response:
        return await self._answer(self.hold(await request.json()))

    async def _longer(self, request: web.Request) -> web.Response:
        body = await request.json() | {"appointmentId": request.match_info["id"]}
        self.extensions.append(body)
        self.was_asked_for_longer.set()
        return await self._answer(self.extend(body))

    async def _outcomes(self, request: web.Request) -> web.Response:
        ids = (await request.json())["appointmentIds"]
        found = [{"appointmentId": id_, "outcome": self.outcome(id_)} for id_ in ids]
        return await self._answer((self.outcomes_status, {"outcomes": found}))

    async def _answer(self, reply: Reply) -> web.Response:
        await asyncio.sleep(self.delay)
        return web.json_response(reply[1], status=reply[0])

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """The address at which both answer."""
        app = web.Application()
        app.router.add_post("/internal/timeslots/check", self._check)
        app.router.add_post("/internal/holds", self._claim)
        app.router.add_post("/internal/holds/outcomes", self._outcomes)
        app.router.add_post("/internal/holds/{id}/extend", self._longer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
        finally:
            await runner.cleanup()


def a_timeslot(timeslot_id: str) -> dict[str, Any]:
    return {
        "id": timeslot_id,
        "start": "2030-01-07T09:00:00.000Z",
        "end": "2030-01-07T09:30:00.000Z",
        "locationId": None,
        "roomId": None,
        "mode": "phone",
    }


ALTERNATIVES = [a_timeslot("later")]


def offered(body: dict[str, Any]) -> Reply:
    return 200, {
        "offered": True,
        "timeslot": a_timeslot(body["timeslotId"]),
        "alternatives": ALTERNATIVES,
    }


def not_offered(_: dict[str, Any]) -> Reply:
    return 200, {"offered": False, "timeslot": None, "alternatives": ALTERNATIVES}


def unknown(_: dict[str, Any]) -> Reply:
    return 404, {"code": "service_not_found", "detail": "none"}


def extended(body: dict[str, Any]) -> Reply:
    now = datetime.now(UTC)
    return 200, {
        "appointmentId": body["appointmentId"],
        "expiresAt": instant_text(now + timedelta(seconds=300)),
        "serverTime": instant_text(now),
    }


def refusing(code: str, **members: Any) -> Callable[[dict[str, Any]], Reply]:
    return lambda _: (409, {"code": code, "detail": "no", "type": "x", "status": 409} | members)
