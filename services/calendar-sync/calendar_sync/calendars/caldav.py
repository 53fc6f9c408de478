"""CalDAV (RFC 4791, 6578): any server that keeps calendars, by address, user name and password."""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urljoin
from uuid import UUID
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from calendar_sync.calendars.caldav_home import find_home, is_calendar
from calendar_sync.calendars.contract import (
    Credentials,
    CursorGone,
    ExternalEvent,
    NotFound,
    OurEvent,
    Page,
    Refused,
    RemoteCalendar,
    Save,
    Stale,
    Unreadable,
    Window,
    Written,
)
from calendar_sync.calendars.dav import (
    CALDAV,
    DAV,
    SERVER,
    Dav,
    Member,
    Reply,
    expect_multistatus,
    members,
    parsed,
    path_of,
)
from calendar_sync.calendars.expansion import Expander, Object
from calendar_sync.calendars.icalendar_writing import object_of
from shared.events.calendar import CalendarKind
from shared.outside import Outside

_AT_ONCE = 25
_MOST_TRUNCATIONS = 1000
_WRITES = {f"{DAV}{name}" for name in ("all", "write", "write-content", "bind")}
_CALENDAR = "Content-Type", "text/calendar; charset=utf-8"
_SYNC, _TAGS = "sync:", "tags:"


@dataclass(frozen=True, slots=True)
class Found:
    """What was found behind an address that somebody has entered."""

    credentials: Credentials
    calendars: Sequence[RemoteCalendar]


class CalDav:
    """The way to CalDAV servers."""

    name: CalendarKind = "caldav"
    is_writable = True

    def __init__(self, outside: Outside, expander: Expander) -> None:
        self._outside = outside
        self._expander = expander

    @asynccontextmanager
    async def open(self, credentials: Credentials, save: Save) -> AsyncIterator["CalDavAccount"]:
        dav = Dav(self._outside, credentials["username"], credentials["password"])
        yield CalDavAccount(dav, self._expander, credentials)

    async def discover(self, url: str, username: str, password: str) -> Found:
        """Logs in and looks for the calendars (RFC 6764). Raises AccessGone for a wrong password,
        NotFound when there is no CalDAV, Refused, Temporary."""
        dav = Dav(self._outside, username, password)
        home = await find_home(dav, url, username)
        credentials = {
            "url": url,
            "username": username,
            "password": password,
            "home": home.url,
            "owners": " ".join(home.owners),
        }
        calendars = await CalDavAccount(dav, self._expander, credentials).calendars()
        if not calendars:
            raise NotFound("no_calendars")
        return Found(credentials, calendars)


class CalDavAccount:
    """One user's calendars. Their ids and those of events are paths on the server."""

    def __init__(self, dav: Dav, expander: Expander, credentials: Credentials) -> None:
        self._dav = dav
        self._expander = expander
        self._home = credentials["home"]
        self._owners = frozenset(credentials["owners"].split())

    async def calendars(self) -> Sequence[RemoteCalendar]:
        found = await self._dav.properties(
            self._home,
            "D:resourcetype",
            "D:displayname",
            "D:current-user-privilege-set",
            "C:supported-calendar-component-set",
            "C:calendar-timezone",
            depth="1",
        )
        return [_calendar(each) for each in found if _holds_events(each)]

    async def changes(
        self, calendar_id: str, cursor: str | None, *, window: Window, zone: ZoneInfo
    ) -> AsyncIterator[Page]:
        url = urljoin(self._home, calendar_id)
        if cursor is not None and cursor.startswith(_TAGS):
            pages = self._compared(url, cursor, window)
        else:
            token = cursor.removeprefix(_SYNC) if cursor is not None else None
            pages = self._synced(url, token, window)
        async for page in pages:
            yield page

    async def put(self, calendar_id: str, event: OurEvent, *, etag: str | None) -> Written:
        path = _path_in(calendar_id, event.key)
        url = urljoin(self._home, path)
        content = object_of(event)
        if etag is not None:
            reply = await self._put(url, content, ("If-Match", etag))
            if reply.status in (404, 409, 410, 412):
                raise Stale
            return await self._written(path, reply)
        reply = await self._put(url, content, ("If-None-Match", "*"))
        if reply.status in (409, 412):
            there = await self._dav.ask("GET", url)
            if there.status in (404, 410):
                if reply.names("no-uid-conflict"):
                    raise Refused("uid_taken")
                raise NotFound("calendar_gone")
            condition = ("If-Match", there.etag) if there.etag else None
            reply = await self._put(url, content, condition)
            if reply.status in (404, 409, 412):
                raise Stale
        return await self._written(path, reply)

    async def remove(self, calendar_id: str, key: UUID, external_id: str | None) -> None:
        path = external_id or _path_in(calendar_id, key)
        reply = await self._dav.ask("DELETE", urljoin(self._home, path))
        if not reply.is_good and reply.status not in (404, 410):
            raise Refused("may_not_delete")

    async def revoke(self) -> None:
        """An app password is its owner's to take back."""

    async def _put(self, url: str, content: bytes, condition: tuple[str, str] | None) -> Reply:
        headers = dict([_CALENDAR, condition] if condition else [_CALENDAR])
        return await self._dav.ask("PUT", url, content, headers=headers)

    async def _written(self, path: str, reply: Reply) -> Written:
        if reply.status == 404:
            raise NotFound("calendar_gone")
        if not reply.is_good:
            raise Refused("may_not_write" if reply.status in (403, 405) else "not_accepted")
        if reply.etag is not None:
            return Written(path, reply.etag)
        # It may have been rewritten on its way in, so what it is now has to be looked up.
        found = await self._dav.properties(urljoin(self._home, path), "D:getetag")
        return Written(path, found[0].text(f"{DAV}getetag") if found else None)

    async def _synced(self, url: str, token: str | None, window: Window) -> AsyncIterator[Page]:
        """RFC 6578; a server that cannot do it is read by its tags."""
        for _ in range(_MOST_TRUNCATIONS):
            reply = await self._dav.report(
                url,
                "D:sync-collection",
                f"<D:sync-token>{escape(token or '')}</D:sync-token>"
                "<D:sync-level>1</D:sync-level><D:prop><D:getetag/></D:prop>",
                # RFC 6578 wants Depth 0 and says so; level 1 is what is asked.
                depth="0",
            )
            if reply.status in (404, 410):
                raise NotFound("calendar_gone")
            if reply.status != 207:
                if token is not None:
                    raise CursorGone
                async for page in self._compared(url, None, window):
                    yield page
                return
            root = parsed(reply.body)
            listed = list(members(root, reply.url))
            is_cut = any(each.status == 507 for each in listed)
            token = (root.findtext(f"{DAV}sync-token") or "").strip()
            cursor = f"{_SYNC}{token}" if token else None
            own = path_of(url)
            changed = [each for each in listed if _is_object(each, own)]
            gone = [each.href for each in changed if each.status in (404, 410)]
            there = [each.href for each in changed if each.status not in (404, 410)]
            async for page in self._pages(url, there, gone, window, cursor):
                yield page
            if not is_cut:
                return
        raise Refused("answer_not_understood")

    async def _compared(self, url: str, cursor: str | None, window: Window) -> AsyncIterator[Page]:
        """By the collection's tag and its members': for servers without sync-collection."""
        before = _tags_in(cursor) if cursor is not None else {}
        (collection,) = (await self._dav.properties(url, "S:getctag"))[:1]
        ctag = collection.text(f"{SERVER}getctag") or ""
        if ctag and before.get("") == ctag:
            yield Page(events=(), cursor=cursor)
            return
        own = path_of(url)
        listed = await self._dav.properties(url, "D:getetag", depth="1")
        now = {
            each.href: _short(each.text(f"{DAV}getetag") or "")
            for each in listed
            if _is_object(each, own)
        }
        gone = [href for href in before if href and href not in now]
        there = [href for href, tag in now.items() if not tag or before.get(href) != tag]
        async for page in self._pages(url, there, gone, window, _tags({"": ctag, **now})):
            yield page

    async def _pages(
        self,
        url: str,
        there: Sequence[str],
        gone: Sequence[str],
        window: Window,
        cursor: str | None,
    ) -> AsyncIterator[Page]:
        """What has gone and what is there, in parts; only the last has the cursor."""
        if gone or not there:
            deleted = [ExternalEvent(id=href) for href in gone]
            yield Page(events=deleted, cursor=None if there else cursor)
        for first in range(0, len(there), _AT_ONCE):
            hrefs = there[first : first + _AT_ONCE]
            is_last = first + _AT_ONCE >= len(there)
            found = await self._read(url, hrefs, window)
            yield Page(
                events=[each for each in found if isinstance(each, ExternalEvent)],
                unreadable=[each for each in found if isinstance(each, Unreadable)],
                cursor=cursor if is_last else None,
            )

    async def _read(
        self, url: str, hrefs: Sequence[str], window: Window
    ) -> list[ExternalEvent | Unreadable]:
        wanted = "".join(f"<D:href>{escape(href)}</D:href>" for href in hrefs)
        reply = await self._dav.report(
            url,
            "C:calendar-multiget",
            f"<D:prop><D:getetag/><C:calendar-data/></D:prop>{wanted}",
            depth="1",
        )
        given = {each.href: each for each in members(expect_multistatus(reply), reply.url)}
        found: list[ExternalEvent | Unreadable] = []
        objects: list[Object] = []
        for href in hrefs:
            member = given.get(href)
            data = member.text(f"{CALDAV}calendar-data") if member else None
            if member is None or (data is None and member.status not in (404, 410)):
                found.append(Unreadable(href, "not_given"))
            elif data is None:
                found.append(ExternalEvent(id=href))
            else:
                objects.append(Object(href, member.text(f"{DAV}getetag"), data.encode()))
        return [*found, *await self._expander.objects(objects, window, self._owners)]


def _holds_events(member: Member) -> bool:
    components = member.properties.get(f"{CALDAV}supported-calendar-component-set")
    names = {each.get("name", "").upper() for each in components or ()}
    return is_calendar(member) and (not names or "VEVENT" in names)


def _calendar(member: Member) -> RemoteCalendar:
    privileges = member.properties.get(f"{DAV}current-user-privilege-set")
    return RemoteCalendar(
        id=member.href,
        name=member.text(f"{DAV}displayname") or member.href.rstrip("/").rpartition("/")[2],
        timezone=_zone(member.properties.get(f"{CALDAV}calendar-timezone")),
        # Not every server says what one may do; then trying shows it.
        is_writable=privileges is None
        or any(each.tag in _WRITES for granted in privileges for each in granted),
    )


def _zone(found: Element | None) -> str | None:
    for line in (found.text or "").splitlines() if found is not None else ():
        if line.upper().startswith("TZID:"):
            return line[5:].strip() or None
    return None


def _is_object(member: Member, collection: str) -> bool:
    return member.href.rstrip("/") != collection.rstrip("/") and not member.href.endswith("/")


def _path_in(calendar_id: str, key: UUID) -> str:
    return f"{calendar_id.rstrip('/')}/{key}.ics"


def _short(tag: str) -> str:
    return sha256(tag.encode()).hexdigest()[:12] if tag else ""


def _tags(tags: Mapping[str, str]) -> str:
    return _TAGS + b64encode(zlib.compress(json.dumps(tags).encode())).decode()


def _tags_in(cursor: str) -> dict[str, str]:
    tags: dict[str, str] = json.loads(zlib.decompress(b64decode(cursor.removeprefix(_TAGS))))
    return tags
