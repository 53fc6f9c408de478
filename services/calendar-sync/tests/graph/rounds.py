"""Rounds of calendarView/delta at the double: pages, and cursors that live until they die."""

import itertools
import re
import secrets
from dataclasses import dataclass

from aiohttp import web

from . import views
from .http import GraphError, answer, preferences, window_of
from .mailbox import Calendar, Json

_PAGE = re.compile(r"odata\.maxpagesize=(\d+)")
_REFUSED = ("$select", "$filter", "$orderby", "$expand", "$search")


@dataclass
class _Cursor:
    calendar: Calendar
    window: views.Window
    since: int
    left: list[Json]
    """Of the round that is under way."""


class Rounds:
    def __init__(self) -> None:
        self._cursors: dict[str, _Cursor] = {}
        self._lengths = itertools.count()
        self.page_size = 1000
        """The most that a page has, whatever is wished."""
        self.replays = False
        """What is told has something older before it."""
        self.die_after: int | None = None
        """So many further pages, and then all cursors are gone, once."""

    def expire(self) -> None:
        self._cursors.clear()

    def page(
        self, request: web.Request, calendar: Calendar, zone: str | None, url: str
    ) -> web.Response:
        if any(name in request.query for name in _REFUSED):
            raise GraphError(400, "ErrorInvalidUrlQuery")
        self._perhaps_die()
        cursor = self._cursor(request, calendar, zone, url)
        wished = _PAGE.search(preferences(request))
        size = min(int(wished[1]) if wished else 10, self.page_size)
        items, left = cursor.left[:size], cursor.left[size:]
        token = secrets.token_urlsafe(8 + next(self._lengths) % 4)
        self._cursors[token] = _Cursor(calendar, cursor.window, cursor.since, left)
        link, name = ("nextLink", "skiptoken") if left else ("deltaLink", "deltatoken")
        place = f"{url}/me/calendars/{calendar.id}/calendarView/delta"
        return answer({"value": items, f"@odata.{link}": f"{place}?${name}={token}"})

    def _cursor(
        self, request: web.Request, calendar: Calendar, zone: str | None, url: str
    ) -> _Cursor:
        token = request.query.get("$skiptoken") or request.query.get("$deltatoken")
        if token is None:
            window = window_of(request)
            everything = [
                shown
                for event in calendar.events.values()
                if event.touches(window)
                for shown in views.in_delta(event, zone, window)
            ]
            return _Cursor(calendar, window, len(calendar.history), everything)
        known = self._cursors.get(token)
        if known is None or known.calendar is not calendar:
            if len(token) % 2:
                raise GraphError(400, "SyncStateNotFound")
            raise GraphError(410, "resyncRequired", Location=f"{url}{request.path}")
        if "$deltatoken" not in request.query:
            return known
        changed = views.changed_since(
            calendar, known.since, zone, known.window, replays=self.replays
        )
        return _Cursor(calendar, known.window, len(calendar.history), changed)

    def _perhaps_die(self) -> None:
        if self.die_after is not None:
            self.die_after -= 1
            if self.die_after < 0:
                self.die_after = None
                self.expire()
