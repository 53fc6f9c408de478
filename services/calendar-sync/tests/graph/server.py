"""The double's HTTP: paths, parameters, preferences, errors, and faults on demand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from aiohttp import web

from shared.http import AsyncClient

from . import views
from .access import Access, Refused
from .events import Events
from .http import GraphError, answer, body_of, wished_zone
from .mailbox import Calendar, Json, Mailbox
from .rounds import Rounds
from .subscriptions import BadSubscription, Subscriptions

_AT_ONCE = 4


@dataclass
class Fault:
    """Of the next ``times`` requests that are so made: an answer instead, or none after all."""

    method: str
    part: str
    """Of the path."""
    status: int
    times: int = 1
    retry_after: int | None = None
    is_done: bool = False
    """The request has its effect; its answer alone is lost."""


class GraphDouble:
    """``url`` is Graph's, ``login_url`` Microsoft's with the tenant."""

    def __init__(self, client: AsyncClient | None = None) -> None:
        self._ahead = timedelta()
        self._at_once: dict[str, int] = {}
        self.access = Access(self.now)
        self.rounds = Rounds()
        self.events = Events()
        self.subscriptions = Subscriptions(client, self.now)
        self.faults: list[Fault] = []
        self.calls: list[tuple[str, str]] = []
        self.is_down = False
        self.hold = asyncio.Event()
        """While it is not set, requests of deltas wait, and ``held`` says that one does."""
        self.hold.set()
        self.held = asyncio.Event()
        self.ignores_zone_wish = False
        self.url = self.login_url = ""

    @classmethod
    @asynccontextmanager
    async def open(cls, client: AsyncClient | None = None) -> AsyncIterator[Self]:
        double = cls(client)
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_route("POST", "/tenant/oauth2/v2.0/token", double._token)
        app.router.add_route("*", "/v1.0/{path:.*}", double._graph)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        double.url = f"http://{host}:{port}/v1.0"
        double.login_url = f"http://{host}:{port}/tenant"
        try:
            yield double
        finally:
            await runner.cleanup()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, by: timedelta) -> None:
        self._ahead += by

    def new_mailbox(self) -> Mailbox:
        return Mailbox(self.now, self.subscriptions.note)

    def count(self, method: str, part: str) -> int:
        """How many such requests there were."""
        return sum(1 for each in self.calls if each[0] == method and part in each[1])

    async def _token(self, request: web.Request) -> web.Response:
        if self.is_down:
            self._hang_up(request)
        form = await request.post()
        try:
            return answer(self.access.token({name: str(value) for name, value in form.items()}))
        except Refused as refused:
            return answer(refused.answer, 401 if "client" in str(refused) else 400)

    async def _graph(self, request: web.Request) -> web.Response:
        path = "/" + request.match_info["path"]
        self.calls.append((request.method, path))
        if self.is_down:
            self._hang_up(request)
        fault = self._fault(request.method, path)
        try:
            if fault is not None and not fault.is_done:
                wish = {"Retry-After": str(fault.retry_after)} if fault.retry_after else {}
                raise GraphError(fault.status, "TooManyRequests", **wish)  # noqa: TRY301
            mailbox = self.access.mailbox_of(request.headers.get("Authorization", ""))
            if mailbox is None:
                raise GraphError(401, "InvalidAuthenticationToken")  # noqa: TRY301
            response = await self._serve(request, mailbox, path)
        except GraphError as error:
            body: Json = {"error": {"code": error.code, "message": "…", "innerError": {}}}
            return answer(body, error.status, **error.headers)
        if fault is not None:
            self._hang_up(request)
        return response

    async def _serve(self, request: web.Request, mailbox: Mailbox, path: str) -> web.Response:
        self._at_once[mailbox.id] = self._at_once.get(mailbox.id, 0) + 1
        try:
            if self._at_once[mailbox.id] > _AT_ONCE:
                raise GraphError(429, "ApplicationThrottled", **{"Retry-After": "1"})
            wished = wished_zone(request)
            zone = None if self.ignores_zone_wish else wished
            method = request.method
            match path.strip("/").split("/"):
                case ["me"] if method == "GET":
                    return answer(views.owner(mailbox))
                case ["me", "calendars"] if method == "GET":
                    shown = [views.calendar(each) for each in mailbox.calendars.values()]
                    return answer({"value": shown})
                case ["me", "calendars", id_, "calendarView", "delta"] if method == "GET":
                    self.held.set()
                    await self.hold.wait()
                    return self.rounds.page(request, _calendar(mailbox, id_), zone, self.url)
                case ["me", "calendars", id_, "events"]:
                    return await self.events.all(request, mailbox, _calendar(mailbox, id_), zone)
                case ["me", "calendars", id_, "events", event_id, *rest]:
                    found = _calendar(mailbox, id_).events.get(event_id)
                    return await self.events.one(request, mailbox, found, rest, zone)
                case ["me", "events", event_id, *rest]:
                    found = mailbox.find(event_id)
                    return await self.events.one(request, mailbox, found, rest, zone)
                case ["subscriptions", *rest]:
                    return await self._subscriptions(request, mailbox, rest)
            raise GraphError(404, "ResourceNotFound")
        finally:
            self._at_once[mailbox.id] -= 1

    async def _subscriptions(
        self, request: web.Request, mailbox: Mailbox, rest: list[str]
    ) -> web.Response:
        try:
            if not rest and request.method == "POST":
                made = await self.subscriptions.create(mailbox, await body_of(request))
                return answer(made.shown(), 201)
            live = {each.id: each for each in self.subscriptions.live()}
            found = live.get(rest[0]) if rest else None
            if found is None or found.mailbox is not mailbox:
                raise GraphError(404, "ResourceNotFound")
            if request.method == "DELETE":
                del self.subscriptions.all[found.id]
                return web.Response(status=204)
            if request.method == "PATCH":
                found.expires_at = self.subscriptions.expiry(await body_of(request))
            elif rest[1:] != ["reauthorize"]:
                raise GraphError(405, "Request_BadRequest")
            found.needs_authorization = False
            return answer(found.shown())
        except BadSubscription as bad:
            raise GraphError(400, "ValidationError") from bad

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.method in (method, "*") and fault.part in path:
                fault.times -= 1
                return fault
        return None

    def _hang_up(self, request: web.Request) -> None:
        assert request.transport is not None
        request.transport.abort()
        raise ConnectionResetError


def _calendar(mailbox: Mailbox, id_: str) -> Calendar:
    if id_ not in mailbox.calendars:
        raise GraphError(404, "ErrorItemNotFound")
    return mailbox.calendars[id_]
