"""One Google account: its calendars, their events, and channels that tell of changes."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID
from zoneinfo import ZoneInfo

from calendar_sync.calendars.contract import (
    Channel,
    ChannelRequest,
    CursorGone,
    ExternalEvent,
    OurEvent,
    Page,
    Refused,
    RemoteCalendar,
    Stale,
    Temporary,
    Unreadable,
    Window,
    Written,
)
from calendar_sync.calendars.google.events import body_of, ids_of, key_of, read
from calendar_sync.calendars.google.refusals import refusal_of
from calendar_sync.calendars.oauth import Access, json_of
from calendar_sync.metrics import counted
from shared.http import Response

_EVENTS_OF_A_PAGE = 500
_MOST_PAGES_OF_CALENDARS = 10
_SILENTLY = {"sendUpdates": "none"}  # patients and providers are told by us
_FIELDS = (
    "nextPageToken,nextSyncToken,items(id,status,etag,iCalUID,start,end,transparency,eventType,"
    "attendees(self,responseStatus),extendedProperties/private)"
)
"""All that is read of events: nobody's names, subjects or places ever come here."""


class GoogleAccount:
    """Calls Google in the name of the account's owner, one request at a time."""

    def __init__(self, access: Access, api_url: str) -> None:
        self._access = access
        self._api_url = api_url

    async def owner(self) -> str:
        """The address of the account, which is the id of its main calendar."""
        answer = _good(await self._send("GET", "/users/me/calendarList/primary"))
        return _text(answer, "id")

    async def calendars(self) -> Sequence[RemoteCalendar]:
        """Those that the account owns: to others the consent gives no right."""
        wanted = {"minAccessRole": "owner", "maxResults": "250"}
        found: list[RemoteCalendar] = []
        for _ in range(_MOST_PAGES_OF_CALENDARS):
            answer = _good(await self._send("GET", "/users/me/calendarList", params=wanted))
            found.extend(_calendar(item) for item in _items(answer))
            if "nextPageToken" not in answer:
                break
            wanted["pageToken"] = _text(answer, "nextPageToken")
        return found

    async def changes(
        self, calendar_id: str, cursor: str | None, *, window: Window, zone: ZoneInfo
    ) -> AsyncIterator[Page]:
        """Pages of what has changed; the last one has the cursor, a sync token. Instances of
        series are expanded by Google."""
        # Except for the window, a later request must be the same as the first one.
        wanted: dict[str, Any] = {
            "singleEvents": "true",
            "maxResults": _EVENTS_OF_A_PAGE,
            "maxAttendees": 1,  # the owner, when there are more
            "fields": _FIELDS,
        }
        if cursor is None:
            wanted |= {"timeMin": _rfc3339(window.start), "timeMax": _rfc3339(window.end)}
        else:
            wanted["syncToken"] = cursor
        while True:
            response = await self._send("GET", _events(calendar_id), params=wanted)
            if response.status_code == 410 or (cursor is not None and response.status_code == 400):
                raise CursorGone
            answer = _good(response)
            page = _page(answer)
            yield page
            if page.cursor is not None:
                return
            following = _text(answer, "nextPageToken")
            if following == wanted.get("pageToken"):
                raise Temporary("answer_unreadable")
            wanted["pageToken"] = following

    async def put(self, calendar_id: str, event: OurEvent, *, etag: str | None) -> Written:
        """With an etag one request; else a new event's is one, and an old one's three."""
        if etag is not None:
            response = await self._patch(calendar_id, ids_of(event.key)[0], event, etag)
            if response.status_code in (404, 410):
                raise Stale
            return _written(_good(response))
        for id_ in ids_of(event.key):
            response = await self._insert(calendar_id, id_, event)
            if response.status_code != 409:
                return _written(_good(response))
            # The id is taken, be it by an event of ours that has been deleted.
            if await self._is_ours(calendar_id, id_, event.key):
                response = await self._patch(calendar_id, id_, event)
                if response.status_code not in (404, 410):
                    return _written(_good(response))
        raise Refused("id_taken")

    async def remove(self, calendar_id: str, key: UUID, external_id: str | None) -> None:
        """One request when it is known under which id the event was written."""
        ids = (external_id,) if external_id is not None else ids_of(key)
        for id_ in ids:
            if external_id is not None or await self._is_ours(calendar_id, id_, key):
                response = await self._send("DELETE", _events(calendar_id, id_), params=_SILENTLY)
                if response.status_code not in (404, 410):
                    _check(response)

    async def revoke(self) -> None:
        """Google forgets the consent."""
        await self._access.revoke()

    async def open_channel(self, calendar_id: str, wanted: ChannelRequest) -> Channel:
        """Until Google's own ``expiration``, which may come before the wanted one."""
        body = {
            "id": str(wanted.id),
            "type": "web_hook",
            "address": wanted.address,
            "token": wanted.secret,
            "params": {"ttl": str(int(wanted.lasts.total_seconds()))},
        }
        response = await self._send("POST", f"{_events(calendar_id)}/watch", json=body)
        answer = _good(response)
        try:
            expires_at = datetime.fromtimestamp(int(answer["expiration"]) / 1000, UTC)
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            raise Temporary("answer_unreadable") from error
        return Channel(_text(answer, "resourceId"), expires_at)

    async def renew_channel(self, channel: Channel, lasts: timedelta) -> Channel | None:
        """None: Google's channels end when they end."""
        return None

    async def stop_channel(self, channel_id: UUID, external_id: str) -> None:
        """One that is not there any more is stopped."""
        body = {"id": str(channel_id), "resourceId": external_id}
        response = await self._send("POST", "/channels/stop", json=body)
        if response.status_code not in (404, 410):
            _check(response)

    async def _insert(self, calendar_id: str, id_: str, event: OurEvent) -> Response:
        body = {"id": id_, **body_of(event)}
        return await self._send("POST", _events(calendar_id), params=_SILENTLY, json=body)

    async def _patch(
        self, calendar_id: str, id_: str, event: OurEvent, etag: str | None = None
    ) -> Response:
        headers = {"If-Match": etag} if etag is not None else {}
        return await self._send(
            "PATCH",
            _events(calendar_id, id_),
            params=_SILENTLY,
            headers=headers,
            json=body_of(event),
        )

    async def _is_ours(self, calendar_id: str, id_: str, key: UUID) -> bool:
        response = await self._send("GET", _events(calendar_id, id_))
        if response.status_code in (404, 410):
            return False
        item = _good(response)
        # Of a deleted event no more than its id is sure to be told.
        return key_of(item) == key or (key_of(item) is None and item.get("status") == "cancelled")

    async def _send(self, method: str, path: str, **options: Any) -> Response:
        return await counted("google", self._access.send(method, self._api_url + path, **options))


def _events(calendar_id: str, event_id: str | None = None) -> str:
    path = f"/calendars/{quote(calendar_id, safe='')}/events"
    return path if event_id is None else f"{path}/{quote(event_id, safe='')}"


def _check(response: Response) -> None:
    if not response.is_success:
        raise refusal_of(response)


def _good(response: Response) -> dict[str, Any]:
    _check(response)
    return json_of(response)


def _items(answer: Mapping[str, Any]) -> Sequence[Any]:
    items = answer.get("items", [])
    if not isinstance(items, list):
        raise Temporary("answer_unreadable")
    return items


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise Temporary("answer_unreadable")
    return value


def _calendar(item: Any) -> RemoteCalendar:
    if not isinstance(item, Mapping):
        raise Temporary("answer_unreadable")
    name, timezone = item.get("summaryOverride") or item.get("summary"), item.get("timeZone")
    return RemoteCalendar(
        id=_text(item, "id"),
        name=name if isinstance(name, str) else "",
        timezone=timezone if isinstance(timezone, str) else None,
        is_writable=item.get("accessRole") in ("owner", "writer"),
        is_primary=item.get("primary") is True,
    )


def _page(answer: Mapping[str, Any]) -> Page:
    entries = [read(item) for item in _items(answer)]
    has_more = "nextPageToken" in answer
    return Page(
        events=[each for each in entries if isinstance(each, ExternalEvent)],
        unreadable=[each for each in entries if isinstance(each, Unreadable)],
        cursor=None if has_more else _text(answer, "nextSyncToken"),
    )


def _written(item: Mapping[str, Any]) -> Written:
    etag = item.get("etag")
    return Written(_text(item, "id"), etag if isinstance(etag, str) else None)


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
