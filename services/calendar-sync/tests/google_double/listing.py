"""Lists as Google gives them: by pages, and since a sync token."""

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .refusals import GoogleSaysNo, invalid
from .store import Calendar
from .times import parsed_bound

_NOT_WITH_SYNC_TOKEN = (
    "iCalUID orderBy privateExtendedProperty q sharedExtendedProperty timeMin timeMax updatedMin"
).split()


@dataclass
class Lists:
    most_of_a_page: int = 2500
    has_empty_pages: bool = False
    _pages: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)

    def calendars(self, known: list[Calendar], query: dict[str, str]) -> dict[str, Any]:
        ranks = ["freeBusyReader", "reader", "writer", "owner"]
        least = ranks.index(query.get("minAccessRole", "freeBusyReader"))
        entries = [each.entry() for each in known if ranks.index(each.role) >= least]
        listed = {"kind": "calendar#calendarList", "etag": '"a"'}
        return {**listed, **self._page(entries, query, {"nextSyncToken": "unused"}, 100)}

    def events(self, calendar: Calendar, query: dict[str, str], now: str) -> dict[str, Any]:
        fixed = {
            "kind": "calendar#events",
            "etag": f'"{calendar.revision}"',
            "summary": calendar.summary,
            "timeZone": calendar.zone,
            "accessRole": calendar.role,
            "updated": now,
            "defaultReminders": [],
        }
        single = query.get("singleEvents") == "true"
        start, end = (
            parsed_bound(query[each]) if each in query else None for each in ("timeMin", "timeMax")
        )
        if start is not None and end is not None and start >= end:
            raise invalid("The specified time range is empty.", "timeRangeEmpty")
        if query.get("orderBy") == "startTime" and not single:
            raise invalid("The requested ordering is not available for the particular query.")
        after = None
        if "syncToken" in query:
            wrong = [name for name in _NOT_WITH_SYNC_TOKEN if name in query]
            if wrong or query.get("showDeleted") == "false":
                raise invalid("Sync token cannot be used with these parameters.")
            token = _read_token(query["syncToken"])
            if token["calendar"] != calendar.id or token["revision"] < calendar.oldest:
                raise GoogleSaysNo(
                    410,
                    "fullSyncRequired",
                    "Sync token is no longer valid, a full sync is required.",
                )
            if token["single"] != single:
                raise invalid("Sync token was made with another singleEvents.")
            after = token["revision"]
            start, end = (
                datetime.fromisoformat(each) if each else None for each in token["window"]
            )
        following = {
            "calendar": calendar.id,
            "revision": calendar.revision,
            "single": single,
            "window": [each and each.isoformat() for each in (start, end)],
        }
        if "pageToken" in query:
            items: list[dict[str, Any]] = []
        else:
            items = calendar.listed(
                after,
                start,
                end,
                single=single,
                with_deleted=query.get("showDeleted") == "true",
            )
        items = [_with_few_attendees(item, query.get("maxAttendees")) for item in items]
        return {**fixed, **self._page(items, query, {"nextSyncToken": _token(following)}, 250)}

    def _page(
        self, items: list[Any], query: dict[str, str], last: dict[str, Any], usual: int
    ) -> dict[str, Any]:
        """A part of what was found when the first page was asked for."""
        if "pageToken" in query:
            known = self._pages.get(query["pageToken"])
            asked = {key: value for key, value in query.items() if key != "pageToken"}
            if known is None or known[1]["asked"] != asked:
                raise invalid("Invalid page token value.")
            items, last = known[0], known[1]["last"]
        if self.has_empty_pages and "pageToken" not in query:
            count = 0
        else:
            count = min(int(query.get("maxResults", usual)), self.most_of_a_page)
        rest = items[count:]
        if not rest:
            return {"items": items[:count], **last}
        token = f"page-{len(self._pages)}"
        asked = {key: value for key, value in query.items() if key != "pageToken"}
        self._pages[token] = (rest, {"asked": asked, "last": last})
        return {"items": items[:count], "nextPageToken": token}


def _token(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def _read_token(text: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text))
    except ValueError as error:
        raise invalid("Invalid sync token value.") from error
    return content


def _with_few_attendees(item: dict[str, Any], most: str | None) -> dict[str, Any]:
    attendees = item.get("attendees", [])
    if most is None or len(attendees) <= int(most):
        return item
    return {**item, "attendees": [each for each in attendees if each.get("self")]}
