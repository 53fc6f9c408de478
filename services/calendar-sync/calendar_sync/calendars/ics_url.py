"""A calendar file under an address (RFC 5545): read-only, and read as a whole when it changes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from uuid import UUID
from zoneinfo import ZoneInfo

from calendar_sync.calendars.contract import (
    AccessGone,
    Credentials,
    CursorGone,
    ExternalEvent,
    NotFound,
    OurEvent,
    Page,
    Refused,
    RemoteCalendar,
    Save,
    Temporary,
    Unreadable,
    Window,
    Written,
)
from calendar_sync.calendars.expansion import Expander
from calendar_sync.metrics import count_call
from shared.events.calendar import CalendarKind
from shared.outside import AddressRefused, Answer, BadAnswer, Outside, Unreachable
from shared.retry_after import retry_after

MOST_BYTES = 10 * 1024 * 1024
_AT_ONCE = 200
_SECONDS = 45.0
_REDIRECTS = 5
_BEGINNING = 512


class IcsUrl:
    """The way to calendar files; the address is the whole secret."""

    name: CalendarKind = "ics"
    is_writable = False

    def __init__(self, outside: Outside, expander: Expander) -> None:
        self._outside = outside
        self._expander = expander

    @asynccontextmanager
    async def open(self, credentials: Credentials, save: Save) -> AsyncIterator["IcsAccount"]:
        yield IcsAccount(self._outside, self._expander, credentials["url"])

    async def discover(self, url: str) -> Sequence[RemoteCalendar]:
        """The one calendar there; raises Refused, NotFound, Temporary, AccessGone."""
        return await IcsAccount(self._outside, self._expander, url).calendars()


class IcsAccount:
    """The file as an account with one calendar, whose only event ids are UIDs."""

    def __init__(self, outside: Outside, expander: Expander, url: str) -> None:
        self._outside = outside
        self._expander = expander
        self._url = url

    async def calendars(self) -> Sequence[RemoteCalendar]:
        async with self._file({}) as answer:
            beginning = b""
            async for chunk in answer.chunks(MOST_BYTES):
                beginning += chunk
                if len(beginning) >= _BEGINNING:
                    break
        if not beginning.lstrip(b"\xef\xbb\xbf \t\r\n").upper().startswith(b"BEGIN:VCALENDAR"):
            raise Refused("not_a_calendar")
        return [RemoteCalendar(id="file", name="Calendar", timezone=None, is_writable=False)]

    async def changes(
        self, calendar_id: str, cursor: str | None, *, window: Window, zone: ZoneInfo
    ) -> AsyncIterator[Page]:
        tag, _, digest = (cursor or "").rpartition(" ")
        async with self._file(_condition(tag)) as answer:
            if answer.status == 304 and cursor is not None:
                yield Page(events=(), cursor=cursor)
                return
            text = await answer.read(MOST_BYTES)
            fresh = f"{_tag(answer)} {sha256(text).hexdigest()}"
        if cursor is not None:
            if fresh.rpartition(" ")[2] != digest:
                # What is no longer in a file is only learned by reading all of it.
                raise CursorGone("file_changed")
            yield Page(events=(), cursor=fresh)
            return
        events: list[ExternalEvent] = []
        unreadable: list[Unreadable] = []
        async for each in self._expander.file(text, window):
            if isinstance(each, ExternalEvent):
                events.append(each)
            else:
                unreadable.append(each)
            if len(events) + len(unreadable) >= _AT_ONCE:
                yield Page(events=events, unreadable=unreadable)
                events, unreadable = [], []
        yield Page(events=events, unreadable=unreadable, cursor=fresh)

    async def put(self, calendar_id: str, event: OurEvent, *, etag: str | None) -> Written:
        raise Refused("read_only")

    async def remove(self, calendar_id: str, key: UUID, external_id: str | None) -> None:
        """Nothing of ours is ever there."""

    async def revoke(self) -> None:
        """Whoever gave out the address can take it back."""

    @asynccontextmanager
    async def _file(self, headers: dict[str, str]) -> AsyncIterator[Answer]:
        url = self._url
        if url.lower().startswith("webcal://"):
            url = f"https{url[6:]}"
        try:
            async with self._outside.call(
                "GET", url, headers=headers, redirects=_REDIRECTS, seconds=_SECONDS
            ) as answer:
                count_call("ics", answer.status)
                _check(answer)
                yield answer
        except AddressRefused as error:
            raise Refused("address_not_allowed") from error
        except Unreachable as error:
            count_call("ics", None)
            raise Temporary("unreachable") from error
        except BadAnswer as error:
            raise Refused("calendar_too_large") from error


def _check(answer: Answer) -> None:
    status = answer.status
    if status in (401, 403):
        raise AccessGone("login_refused")
    if status in (404, 410):
        raise NotFound("calendar_gone")
    if status == 429 or status >= 500:
        reason = "too_many_requests" if status == 429 else "server_error"
        raise Temporary(reason, retry_after(answer.headers))
    if status not in (200, 304):
        raise Refused("not_a_calendar")


def _condition(tag: str) -> dict[str, str]:
    if not tag:
        return {}
    name = "If-None-Match" if '"' in tag else "If-Modified-Since"
    return {name: tag}


def _tag(answer: Answer) -> str:
    return answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
