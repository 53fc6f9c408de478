"""The server of the double: which address does what, for whom, and with which refusals."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import quote, unquote

from aiohttp import ClientSession, web

from . import discovery
from .channels import Channels
from .consent import Consents, Grant, Refusal
from .faults import Faults, Lost
from .listing import Lists
from .refusals import GoogleSaysNo, invalid, not_found
from .store import Calendar
from .times import rfc3339

CLIENT_ID, CLIENT_SECRET = "a-client.apps.googleusercontent.com", "a-client-secret-for-tests"
OWNER = "doctor@example.com"
SCOPES = (
    "https://www.googleapis.com/auth/calendar.events.owned "
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly"
)
_API = "/calendar/v3"


@dataclass
class GoogleDouble:
    """Calendars by their owner's address, and everything that a test may want to look at."""

    url: str = ""
    consents: Consents = field(default_factory=lambda: Consents(CLIENT_ID, CLIENT_SECRET))
    faults: Faults = field(default_factory=Faults)
    calendars: dict[str, Calendar] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    answers: list[tuple[str, Any]] = field(default_factory=list)
    """Each with the schema that it should have."""
    lists: Lists = field(default_factory=Lists)
    ahead: timedelta = timedelta()

    channels: Channels = field(init=False)

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        double = cls()
        async with ClientSession() as session:

            async def deliver(address: str, headers: dict[str, str]) -> int:
                async with session.post(address, headers=headers) as answer:
                    return answer.status

            double.channels = Channels(deliver)
            app = web.Application()
            app.router.add_route("*", "/{anything:.*}", double._answer)
            runner = web.AppRunner(app, shutdown_timeout=0)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            double.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                yield double
            finally:
                await runner.cleanup()

    # What tests do

    @property
    def api_url(self) -> str:
        return self.url + _API

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def an_account(
        self, email: str = "doctor@example.com", zone: str = "Europe/Athens"
    ) -> Calendar:
        """Its main calendar."""
        calendar = Calendar(email, email, zone, email, is_primary=True)
        self.calendars[email] = calendar
        return calendar

    def add_calendar(self, id_: str, owner: str, **given: Any) -> Calendar:
        calendar = Calendar(id_, id_, "Europe/Athens", owner, **given)
        self.calendars[id_] = calendar
        return calendar

    def sign_in(self, email: str = OWNER) -> Grant:
        return self.consents.grant(email, SCOPES)

    def enter(self, calendar: Calendar, **event: Any) -> dict[str, Any]:
        """What the owner enters by hand; channels hear of it."""
        made = calendar.insert(event, rfc3339(self.now))
        self.tell(calendar)
        return made

    def edit(self, calendar: Calendar, id_: str, **change: Any) -> dict[str, Any]:
        made = calendar.change(id_, change, rfc3339(self.now), None, whole=False)
        self.tell(calendar)
        return made

    def remove(self, calendar: Calendar, id_: str) -> None:
        calendar.delete(id_, rfc3339(self.now), None)
        self.tell(calendar)

    def tell(self, calendar: Calendar, *, late: bool = False) -> None:
        self.channels.tell(calendar.id, self._events_url(calendar), late=late)

    def forget_sync_tokens(self, calendar: Calendar) -> None:
        calendar.revision += 1
        calendar.oldest = calendar.revision

    def _events_url(self, calendar: Calendar) -> str:
        return f"{self.api_url}/calendars/{quote(calendar.id, safe='')}/events?alt=json"

    # What clients ask

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            self.faults.strike(request, is_after=False)
            answer = await self._act(request)
            if request.method != "GET":
                await self.faults.hold()
            self.faults.strike(request, is_after=True)
        except GoogleSaysNo as refusal:
            return refusal.answer()
        except Lost:
            return web.Response()
        except Refusal as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        return answer

    async def _act(self, request: web.Request) -> web.Response:
        match request.path:
            case "/o/oauth2/v2/auth":
                return await self.consents.authorize(request)
            case "/token":
                form = {key: str(value) for key, value in (await request.post()).items()}
                self.requests.append(("POST", "/token", {"grant_type": form["grant_type"]}))
                return web.json_response(self.consents.token(form, self.now))
            case "/revoke":
                self.consents.take_back(str((await request.post()).get("token", "")))
                return web.json_response({})
        return await self._api(request)

    async def _api(self, request: web.Request) -> web.Response:
        path = request.raw_path.partition("?")[0]
        query = dict(request.query)
        self.requests.append((request.method, path, query))
        grant = self._grant(request)
        if not path.startswith(_API + "/"):
            raise not_found()
        parts = [unquote(part) for part in path.removeprefix(_API + "/").split("/")]
        body = await _body(request)
        match request.method, parts:
            case "GET", ["users", "me", "calendarList"]:
                self._allow(grant, "calendarList.list", query)
                return self._good(
                    "CalendarList", self.lists.calendars(self._owned(grant), query), query
                )
            case "GET", ["users", "me", "calendarList", id_]:
                self._allow(grant, "calendarList.get", query)
                return self._good("CalendarListEntry", self._calendar(grant, id_).entry(), query)
            case "POST", ["channels", "stop"]:
                self._allow(grant, "channels.stop", query)
                self.channels.stop(grant.email, body)
                return web.Response(status=204)
            case "POST", ["freeBusy"]:
                raise GoogleSaysNo(403, "insufficientPermissions", "Insufficient Permission")
            case method, ["calendars", id_, "events", *rest]:
                calendar = self._calendar(grant, id_)
                return await self._events(request, grant, calendar, method, rest, query, body)
        raise not_found()

    async def _events(
        self,
        request: web.Request,
        grant: Grant,
        calendar: Calendar,
        method: str,
        rest: list[str],
        query: dict[str, str],
        body: dict[str, Any],
    ) -> web.Response:
        now, if_match = rfc3339(self.now), request.headers.get("If-Match")
        match method, rest:
            case "GET", []:
                self._allow(grant, "events.list", query)
                return self._good(
                    "Events", self.lists.events(calendar, query, rfc3339(self.now)), query
                )
            case "POST", []:
                self._allow(grant, "events.insert", query)
                made = calendar.insert(body, now)
            case "POST", ["watch"]:
                self._allow(grant, "events.watch", query)
                url = self._events_url(calendar)
                answer = await self.channels.watch(calendar.id, grant.email, body, url)
                return self._good("Channel", answer, query)
            case "GET", [id_]:
                self._allow(grant, "events.get", query)
                made = calendar.get(id_)
                if request.headers.get("If-None-Match") == made["etag"]:
                    return web.Response(status=304, headers={"ETag": made["etag"]})
                return self._good("Event", made, query, made["etag"])
            case (("PATCH" | "PUT"), [id_]):
                whole = method == "PUT"
                self._allow(grant, "events.update" if whole else "events.patch", query)
                made = calendar.change(id_, body, now, if_match, whole=whole)
            case "DELETE", [id_]:
                self._allow(grant, "events.delete", query)
                calendar.delete(id_, now, if_match)
                self.tell(calendar)
                return web.Response(status=204)
            case _:
                raise not_found()
        self.tell(calendar)
        return self._good("Event", made, query, made["etag"])

    def _good(
        self, schema: str, answer: Any, query: dict[str, str], etag: str | None = None
    ) -> web.Response:
        self.answers.append((schema, answer))
        shown = discovery.only(query["fields"], answer) if "fields" in query else answer
        headers = {"ETag": etag} if etag else {}
        return web.Response(
            text=json.dumps(shown), content_type="application/json", headers=headers
        )

    def _grant(self, request: web.Request) -> Grant:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        grant = self.consents.grant_behind(token, self.now)
        if grant is None:
            raise GoogleSaysNo(401, "authError", "Invalid Credentials")
        return grant

    def _allow(self, grant: Grant, method: str, query: dict[str, str]) -> None:
        if not set(grant.scopes.split()) & set(discovery.method(method)["scopes"]):
            raise GoogleSaysNo(403, "insufficientPermissions", "Insufficient Permission")
        unknown = query.keys() - discovery.parameters(method)
        if unknown:
            raise invalid(f"Unknown name: {unknown.pop()}", "badRequest")
        if query.get("sendUpdates", "none") not in ("all", "externalOnly", "none"):
            raise invalid("Invalid value for: sendUpdates")

    def _owned(self, grant: Grant) -> list[Calendar]:
        return [each for each in self.calendars.values() if each.owner == grant.email]

    def _calendar(self, grant: Grant, id_: str) -> Calendar:
        calendar = self.calendars.get(grant.email if id_ == "primary" else id_)
        if calendar is None or calendar.owner != grant.email:
            raise not_found()
        return calendar


async def _body(request: web.Request) -> dict[str, Any]:
    text = await request.text()
    try:
        body = json.loads(text) if text else {}
    except ValueError as error:
        raise invalid("Parse Error", "parseError") from error
    return body if isinstance(body, dict) else {}
