"""The double's HTTP: paths, parameters, preferences, errors, and faults on demand."""

import asyncio
import itertools
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Self

import orjson
from aiohttp import web

from shared.http import AsyncClient

from . import views
from .access import Access, Refused
from .mailbox import Calendar, Event, Json, Mailbox
from .subscriptions import BadSubscription, Subscriptions

_FILTER = re.compile(
    r"singleValueExtendedProperties/Any\(ep: ep/id eq '([^']+)' and ep/value eq '([^']+)'\)"
)
_PAGE = re.compile(r"odata\.maxpagesize=(\d+)")
_ZONE = re.compile(r'outlook\.timezone="([^"]+)"')
_NOT_IN_DELTA = ("$select", "$filter", "$orderby", "$expand", "$search")
_AT_ONCE = 4


class _Error(Exception):
    def __init__(self, status: int, code: str, **headers: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.headers = headers


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


@dataclass
class _Cursor:
    calendar: Calendar
    window: tuple[datetime, datetime]
    since: int
    left: list[Json]
    """Of the round that is under way."""


class GraphDouble:
    """``url`` is Graph's, ``login_url`` Microsoft's with the tenant."""

    def __init__(self, client: AsyncClient | None = None) -> None:
        self._ahead = timedelta()
        self._cursors: dict[str, _Cursor] = {}
        self._at_once: dict[str, int] = {}
        self._keys = itertools.count(10**6)
        self.access = Access(self.now)
        self.subscriptions = Subscriptions(client, self.now)
        self.faults: list[Fault] = []
        self.calls: list[tuple[str, str]] = []
        self.is_down = False
        self.hold = asyncio.Event()
        """While it is not set, requests of deltas wait, and ``held`` says that one does."""
        self.hold.set()
        self.held = asyncio.Event()
        self.hold_after = asyncio.Event()
        """While it is not set, what is made is there (``made``) and not answered."""
        self.hold_after.set()
        self.made = asyncio.Event()
        self.before_patch: Callable[[], None] | None = None
        """What somebody else does at the last moment, once."""
        self.cursors_die_after: int | None = None
        """So many further pages, and then all cursors are gone, once."""
        self.page_size = 1000
        """The most that a page has, whatever is wished."""
        self.replays = False
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

    def expire_cursors(self) -> None:
        self._cursors.clear()

    def count(self, method: str, part: str) -> int:
        """How many such requests there were."""
        return sum(1 for each in self.calls if each[0] == method and part in each[1])

    async def _token(self, request: web.Request) -> web.Response:
        if self.is_down:
            self._hang_up(request)
        form = await request.post()
        try:
            return _json(self.access.token({name: str(value) for name, value in form.items()}))
        except Refused as refused:
            return _json(refused.answer, 401 if "client" in str(refused) else 400)

    async def _graph(self, request: web.Request) -> web.Response:
        path = "/" + request.match_info["path"]
        self.calls.append((request.method, path))
        if self.is_down:
            self._hang_up(request)
        fault = self._fault(request.method, path)
        try:
            if fault is not None and not fault.is_done:
                wish = {"Retry-After": str(fault.retry_after)} if fault.retry_after else {}
                raise _Error(fault.status, "TooManyRequests", **wish)  # noqa: TRY301
            mailbox = self.access.mailbox_of(request.headers.get("Authorization", ""))
            if mailbox is None:
                raise _Error(401, "InvalidAuthenticationToken")  # noqa: TRY301
            answer = await self._serve(request, mailbox, path)
        except _Error as error:
            body = {"error": {"code": error.code, "message": "…", "innerError": {}}}
            return _json(body, error.status, **error.headers)
        if fault is not None:
            self._hang_up(request)
        return answer

    async def _serve(self, request: web.Request, mailbox: Mailbox, path: str) -> web.Response:
        self._at_once[mailbox.id] = self._at_once.get(mailbox.id, 0) + 1
        try:
            if self._at_once[mailbox.id] > _AT_ONCE:
                raise _Error(429, "ApplicationThrottled", **{"Retry-After": "1"})
            steps = path.strip("/").split("/")
            method = request.method
            match steps:
                case ["me"] if method == "GET":
                    return _json(views.owner(mailbox))
                case ["me", "calendars"] if method == "GET":
                    shown = [views.calendar(each) for each in mailbox.calendars.values()]
                    return _json({"value": shown})
                case ["me", "calendars", id_, "calendarView", "delta"] if method == "GET":
                    self.held.set()
                    await self.hold.wait()
                    return self._delta(request, _calendar(mailbox, id_))
                case ["me", "calendars", id_, "events"]:
                    return await self._events(request, mailbox, _calendar(mailbox, id_))
                case ["me", "calendars", id_, "events", event_id, *rest]:
                    found = _calendar(mailbox, id_).events.get(event_id)
                    return await self._event(request, mailbox, found, rest)
                case ["me", "events", event_id, *rest]:
                    return await self._event(request, mailbox, mailbox.find(event_id), rest)
                case ["subscriptions", *rest]:
                    return await self._subscriptions(request, mailbox, rest)
            raise _Error(404, "ResourceNotFound")
        finally:
            self._at_once[mailbox.id] -= 1

    def _delta(self, request: web.Request, calendar: Calendar) -> web.Response:
        query = request.query
        if any(name in query for name in _NOT_IN_DELTA):
            raise _Error(400, "ErrorInvalidUrlQuery")
        zone = self._zone(request)
        if self.cursors_die_after is not None:
            self.cursors_die_after -= 1
            if self.cursors_die_after < 0:
                self.cursors_die_after = None
                self.expire_cursors()
        token = query.get("$skiptoken") or query.get("$deltatoken")
        if token is None:
            window = tuple(
                datetime.fromisoformat(query[name]) for name in ("startDateTime", "endDateTime")
            )
            left = [
                shown
                for event in calendar.events.values()
                if event.touches(window)
                for shown in views.in_delta(event, zone, window)
            ]
            cursor = _Cursor(calendar, window, len(calendar.history), left)
        elif (known := self._cursors.get(token)) is None or known.calendar is not calendar:
            if len(token) % 2:
                raise _Error(400, "SyncStateNotFound")
            raise _Error(410, "resyncRequired", Location=f"{self.url}{request.path}")
        elif "$deltatoken" in query:
            left = views.changed_since(
                calendar, known.since, zone, known.window, replays=self.replays
            )
            cursor = _Cursor(calendar, known.window, len(calendar.history), left)
        else:
            cursor = known
        return self._page(request, cursor)

    def _page(self, request: web.Request, cursor: _Cursor) -> web.Response:
        wished = _PAGE.search(_prefer(request))
        size = min(int(wished[1]) if wished else 10, self.page_size)
        items, left = cursor.left[:size], cursor.left[size:]
        token = secrets.token_urlsafe(8 + next(self._keys) % 4)
        self._cursors[token] = _Cursor(cursor.calendar, cursor.window, cursor.since, left)
        link, name = ("nextLink", "skiptoken") if left else ("deltaLink", "deltatoken")
        place = f"{self.url}/me/calendars/{cursor.calendar.id}/calendarView/delta"
        return _json({"value": items, f"@odata.{link}": f"{place}?${name}={token}"})

    async def _events(
        self, request: web.Request, mailbox: Mailbox, calendar: Calendar
    ) -> web.Response:
        if request.method == "GET":
            wanted = _FILTER.fullmatch(request.query.get("$filter", ""))
            if wanted is None:
                raise _Error(400, "ErrorInvalidUrlQueryFilter")
            found = [
                each
                for each in calendar.events.values()
                if each.properties.get(wanted[1]) == wanted[2]
            ]
            shown = [
                views.selected(views.event(each, self._zone(request)), request.query)
                for each in found
            ]
            return _json({"value": shown})
        body = await _body(request)
        transaction = body.get("transactionId")
        if transaction in mailbox.transactions:
            event = mailbox.transactions[transaction][1]
            return _json(views.event(event, self._zone(request)), 201)
        event = mailbox.add(
            **_times(body),
            calendar=calendar,
            properties=_properties(body),
            **_fields(body),
            transactionId=transaction,
        )
        if transaction is not None:
            mailbox.transactions[transaction] = (calendar, event)
        self.made.set()
        await self.hold_after.wait()
        return _json(views.event(event, self._zone(request)), 201)

    async def _event(
        self, request: web.Request, mailbox: Mailbox, event: Event | None, rest: list[str]
    ) -> web.Response:
        if event is None:
            raise _Error(404, "ErrorItemNotFound")
        zone = self._zone(request)
        if rest == ["instances"] and request.method == "GET":
            return self._instances(request, event, zone)
        if rest:
            raise _Error(404, "ResourceNotFound")
        if request.method == "GET":
            shown = views.event(event, zone)
            properties = [{"id": id_, "value": value} for id_, value in event.properties.items()]
            if "$expand" in request.query and properties:
                shown["singleValueExtendedProperties"] = properties
            return _json(views.selected(shown, request.query))
        if request.method == "PATCH" and self.before_patch is not None:
            self.before_patch()
            self.before_patch = None
        if request.headers.get("If-Match", event.etag) not in (event.etag, "*"):
            raise _Error(412, "ErrorIrresolvableConflict")
        if request.method == "DELETE":
            mailbox.delete(event)
            return web.Response(status=204)
        if request.method != "PATCH":
            raise _Error(405, "Request_BadRequest")
        body = await _body(request)
        if "transactionId" in body:
            raise _Error(400, "ErrorPropertyUpdate")
        event.properties |= _properties(body)
        times = _times(body)
        new = {"start": times["start"], "end": times["start"] + times["length"]} if times else {}
        mailbox.change(event, **_fields(body), **new)
        return _json(views.event(event, zone))

    def _instances(self, request: web.Request, event: Event, zone: str | None) -> web.Response:
        if event.recurrence is None:
            raise _Error(400, "ErrorInvalidRequest")
        query = request.query
        window = tuple(
            datetime.fromisoformat(query[name]) for name in ("startDateTime", "endDateTime")
        )
        skip, top = int(query.get("$skip", "0")), int(query.get("$top", "10"))
        shown = [views.selected(each, query) for _, each in views.occurrences(event, zone, window)]
        answer: Json = {"value": shown[skip : skip + top]}
        if skip + top < len(shown):
            answer["@odata.nextLink"] = str(request.url.update_query({"$skip": str(skip + top)}))
        return _json(answer)

    async def _subscriptions(
        self, request: web.Request, mailbox: Mailbox, rest: list[str]
    ) -> web.Response:
        try:
            if not rest and request.method == "POST":
                made = await self.subscriptions.create(mailbox, await _body(request))
                return _json(made.shown(), 201)
            live = {each.id: each for each in self.subscriptions.live()}
            found = live.get(rest[0]) if rest else None
            if found is None or found.mailbox is not mailbox:
                raise _Error(404, "ResourceNotFound")
            if request.method == "DELETE":
                del self.subscriptions.all[found.id]
                return web.Response(status=204)
            if request.method == "PATCH":
                found.expires_at = self.subscriptions.expiry(await _body(request))
            elif rest[1:] != ["reauthorize"]:
                raise _Error(405, "Request_BadRequest")
            found.needs_authorization = False
            return _json(found.shown())
        except BadSubscription as bad:
            raise _Error(400, "ValidationError") from bad

    def _zone(self, request: web.Request) -> str | None:
        """Without the immutable preference an id would change, so nobody may forget it."""
        if 'IdType="ImmutableId"' not in _prefer(request):
            raise _Error(400, "ErrorInvalidIdMalformed")
        wished = _ZONE.search(_prefer(request))
        return wished[1] if wished and not self.ignores_zone_wish else None

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
        raise _Error(404, "ErrorItemNotFound")
    return mailbox.calendars[id_]


async def _body(request: web.Request) -> Json:
    if request.content_type != "application/json":
        raise _Error(415, "Request_BadRequest")
    found: Json = orjson.loads(await request.read())
    return found


def _times(body: Json) -> Json:
    if "start" not in body:
        return {}
    start, end = (views.parsed_time(body[name]) for name in ("start", "end"))
    if end < start:
        raise _Error(400, "ErrorPropertyValidationFailure")
    if body.get("isAllDay") and not all(views.is_midnight(body[each]) for each in ("start", "end")):
        raise _Error(400, "ErrorInvalidRequest")
    return {"start": start, "length": end - start}


def _properties(body: Json) -> dict[str, str]:
    return {each["id"]: each["value"] for each in body.get("singleValueExtendedProperties", [])}


def _fields(body: Json) -> Json:
    known = ("subject", "body", "location", "isAllDay", "showAs")
    return {name: body[name] for name in known if name in body}


def _prefer(request: web.Request) -> str:
    return ", ".join(request.headers.getall("Prefer", []))


def _json(body: Json, status: int = 200, **headers: str) -> web.Response:
    headers["Date"] = format_datetime(datetime.now(UTC), usegmt=True)
    return web.Response(
        body=orjson.dumps(body), status=status, content_type="application/json", headers=headers
    )
