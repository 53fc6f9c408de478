"""Events at the double: found, made, changed and deleted."""

import asyncio
import re
from collections.abc import Callable

from aiohttp import web

from . import views
from .http import (
    GraphError,
    answer,
    body_of,
    fields_of,
    properties_of,
    times_of,
    window_of,
)
from .mailbox import Calendar, Event, Json, Mailbox

_FILTER = re.compile(
    r"singleValueExtendedProperties/Any\(ep: ep/id eq '([^']+)' and ep/value eq '([^']+)'\)"
)


class Events:
    def __init__(self) -> None:
        self.before_patch: Callable[[], None] | None = None
        """What somebody else does at the last moment, once."""
        self.hold_after = asyncio.Event()
        """While it is not set, what is made is there (``made``) and not answered."""
        self.hold_after.set()
        self.made = asyncio.Event()

    async def all(
        self, request: web.Request, mailbox: Mailbox, calendar: Calendar, zone: str | None
    ) -> web.Response:
        if request.method == "GET":
            return _found(request, calendar, zone)
        body = await body_of(request)
        transaction = body.get("transactionId")
        if transaction in mailbox.transactions:
            event = mailbox.transactions[transaction][1]
            return answer(views.event(event, zone), 201)
        event = mailbox.add(
            **times_of(body),
            calendar=calendar,
            properties=properties_of(body),
            **fields_of(body),
            transactionId=transaction,
        )
        if transaction is not None:
            mailbox.transactions[transaction] = (calendar, event)
        self.made.set()
        await self.hold_after.wait()
        return answer(views.event(event, zone), 201)

    async def one(
        self,
        request: web.Request,
        mailbox: Mailbox,
        event: Event | None,
        rest: list[str],
        zone: str | None,
    ) -> web.Response:
        if event is None:
            raise GraphError(404, "ErrorItemNotFound")
        if rest == ["instances"] and request.method == "GET":
            return _instances(request, event, zone)
        if rest:
            raise GraphError(404, "ResourceNotFound")
        if request.method == "GET":
            return _shown(request, event, zone)
        if request.method == "PATCH" and self.before_patch is not None:
            self.before_patch()
            self.before_patch = None
        if request.headers.get("If-Match", event.etag) not in (event.etag, "*"):
            raise GraphError(412, "ErrorIrresolvableConflict")
        if request.method == "DELETE":
            mailbox.delete(event)
            return web.Response(status=204)
        if request.method != "PATCH":
            raise GraphError(405, "Request_BadRequest")
        body = await body_of(request)
        if "transactionId" in body:
            raise GraphError(400, "ErrorPropertyUpdate")
        event.properties |= properties_of(body)
        times = times_of(body)
        new = {"start": times["start"], "end": times["start"] + times["length"]} if times else {}
        mailbox.change(event, **fields_of(body), **new)
        return answer(views.event(event, zone))


def _found(request: web.Request, calendar: Calendar, zone: str | None) -> web.Response:
    wanted = _FILTER.fullmatch(request.query.get("$filter", ""))
    if wanted is None:
        raise GraphError(400, "ErrorInvalidUrlQueryFilter")
    found = [
        each for each in calendar.events.values() if each.properties.get(wanted[1]) == wanted[2]
    ]
    shown = [views.selected(views.event(each, zone), request.query) for each in found]
    return answer({"value": shown})


def _shown(request: web.Request, event: Event, zone: str | None) -> web.Response:
    shown = views.event(event, zone)
    properties = [{"id": id_, "value": value} for id_, value in event.properties.items()]
    if "$expand" in request.query and properties:
        shown["singleValueExtendedProperties"] = properties
    return answer(views.selected(shown, request.query))


def _instances(request: web.Request, event: Event, zone: str | None) -> web.Response:
    if event.recurrence is None:
        raise GraphError(400, "ErrorInvalidRequest")
    query = request.query
    skip, top = int(query.get("$skip", "0")), int(query.get("$top", "10"))
    shown = [
        views.selected(each, query)
        for _, each in views.occurrences(event, zone, window_of(request))
    ]
    page: Json = {"value": shown[skip : skip + top]}
    if skip + top < len(shown):
        page["@odata.nextLink"] = str(request.url.update_query({"$skip": str(skip + top)}))
    return answer(page)
