"""The whole cycle on two real servers: find, read, follow, write, move and remove."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from calendar_sync.calendars.caldav import CalDav, CalDavAccount
from calendar_sync.calendars.contract import (
    AccessGone,
    CursorGone,
    ExternalEvent,
    NotFound,
    OurEvent,
    Refused,
    Stale,
    Temporary,
    Unreadable,
    Window,
)
from calendar_sync.calendars.dav import may_get_password
from calendar_sync.calendars.expansion import Expander
from shared.outside import Outside

from .dav_servers import PASSWORD, USER, DavServer, radicale, xandikos

WINDOW = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))
ATHENS = ZoneInfo("Europe/Athens")
NINE = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module", params=[radicale, xandikos], ids=lambda each: each.__name__)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DavServer]:
    with request.param(tmp_path_factory.mktemp("dav")) as server:
        yield server


@pytest.fixture
async def caldav() -> AsyncIterator[CalDav]:
    async with Outside.open(opened={"127.0.0.1"}) as outside, Expander.open() as expander:
        yield CalDav(outside, expander)


@pytest.fixture
async def account(caldav: CalDav, server: DavServer) -> AsyncIterator[CalDavAccount]:
    server.new_calendar()
    found = await caldav.discover(server.url, USER, PASSWORD)

    async def save(_: object) -> None:
        raise AssertionError

    async with caldav.open(found.credentials, save) as account:
        yield account


@pytest.fixture
def calendar(server: DavServer) -> str:
    return server.new_calendar()


def our_event(key: UUID | None = None, *, start: datetime = NINE) -> OurEvent:
    key = key or uuid4()
    return OurEvent(
        key=key,
        uid=f"{key}@clinic.example",
        start=start,
        end=start + HOUR,
        summary="Appointment; with, signs\\",
        location="Main clinic",
        description=None,
        sequence=1,
        changed_at=NINE,
    )


class Seen:
    """A calendar as somebody knows it who follows its changes."""

    def __init__(self, account: CalDavAccount, calendar: str) -> None:
        self.events: dict[str, ExternalEvent] = {}
        self.unreadable: list[Unreadable] = []
        self.cursor: str | None = None
        self._account = account
        self._calendar = calendar

    async def follow(self) -> int:
        """How many words were said of events."""
        said = 0
        async for page in self._account.changes(
            self._calendar, self.cursor, window=WINDOW, zone=ATHENS
        ):
            cursor = page.cursor
            self.unreadable += page.unreadable
            for event in page.events:
                said += 1
                self.events[event.id] = event
        self.cursor = cursor
        return said

    @property
    def starts(self) -> list[str]:
        return sorted(
            str(each.start) for event in self.events.values() for each in event.occurrences
        )


async def test_calendars_are_found_from_the_bare_address(caldav: CalDav, server: DavServer) -> None:
    path = server.new_calendar()

    found = await caldav.discover(server.url, USER, PASSWORD)

    assert path in [each.id for each in found.calendars]
    assert all(each.is_writable for each in found.calendars)


async def test_the_address_of_one_calendar_is_enough(caldav: CalDav, server: DavServer) -> None:
    path = server.new_calendar()

    found = await caldav.discover(server.url + path, USER, PASSWORD)

    assert path in [each.id for each in found.calendars]


async def test_a_wrong_password_is_said_to_be_wrong(
    caldav: CalDav, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with radicale(tmp_path_factory.mktemp("dav")) as server, pytest.raises(AccessGone):
        await caldav.discover(server.url, USER, "wrong")


async def test_changes_are_followed_from_cursor_to_cursor(
    account: CalDavAccount, server: DavServer, calendar: str
) -> None:
    seen = Seen(account, calendar)
    server.put(f"{calendar}a.ics", "UID:a\nDTSTART:20261201T090000Z\nDTEND:20261201T100000Z")
    server.put(f"{calendar}b.ics", "UID:b\nDTSTART;VALUE=DATE:20261203")
    first = await seen.follow()
    quiet = await seen.follow()

    server.put(f"{calendar}a.ics", "UID:a\nDTSTART:20261201T110000Z\nDTEND:20261201T120000Z")
    server.call("DELETE", f"{calendar}b.ics")
    server.put(f"{calendar}c.ics", "UID:c\nDTSTART:20261204T090000Z\nDURATION:PT30M")
    changed = await seen.follow()

    assert (first, quiet, changed) == (2, 0, 3)
    assert seen.starts == ["2026-12-01 11:00:00+00:00", "2026-12-04 09:00:00+00:00"]


async def test_series_are_expanded_with_their_exceptions(
    account: CalDavAccount, server: DavServer, calendar: str
) -> None:
    series = (
        "UID:s\nDTSTART;TZID=Europe/Athens:20270326T090000\n"
        "DTEND;TZID=Europe/Athens:20270326T100000\nRRULE:FREQ=DAILY;COUNT=4\n"
        "EXDATE;TZID=Europe/Athens:20270327T090000\nEND:VEVENT\nBEGIN:VEVENT\nUID:s\n"
        "DTSTAMP:20260101T000000Z\nRECURRENCE-ID;TZID=Europe/Athens:20270329T090000\n"
        "DTSTART;TZID=Europe/Athens:20270329T150000\nDTEND;TZID=Europe/Athens:20270329T160000"
    )
    server.put(f"{calendar}s.ics", series)
    seen = Seen(account, calendar)

    await seen.follow()

    (event,) = seen.events.values()
    starts = [each.start.astimezone(UTC) for each in event.occurrences]  # type: ignore[union-attr]
    assert sorted(f"{each:%d %H:%M}" for each in starts) == ["26 07:00", "28 06:00", "29 12:00"]


async def test_a_cursor_that_is_no_good_is_said_to_be_gone(
    account: CalDavAccount, calendar: str
) -> None:
    seen = Seen(account, calendar)
    seen.cursor = "sync:http://radicale.org/ns/sync/" + "0" * 64

    with pytest.raises(CursorGone):
        await seen.follow()


async def test_without_sync_collection_tags_are_compared(
    account: CalDavAccount, server: DavServer, calendar: str
) -> None:
    async def follow(cursor: str | None) -> tuple[list[str], str | None]:
        ids: list[str] = []
        url = server.url + calendar
        async for page in account._compared(url, cursor, WINDOW):
            ids += [event.id for event in page.events]
            last = page.cursor
        return ids, last

    server.put(f"{calendar}a.ics", "UID:a\nDTSTART:20261201T090000Z\nDURATION:PT30M")
    server.put(f"{calendar}b.ics", "UID:b\nDTSTART:20261201T090000Z\nDURATION:PT30M")
    first, cursor = await follow(None)
    quiet, cursor = await follow(cursor)
    server.put(f"{calendar}a.ics", "UID:a\nDTSTART:20261201T100000Z\nDURATION:PT30M")
    server.call("DELETE", f"{calendar}b.ics")
    changed, cursor = await follow(cursor)

    assert first == [f"{calendar}a.ics", f"{calendar}b.ics"]
    assert quiet == []
    assert sorted(changed) == first


async def test_an_event_is_written_once_however_often(
    account: CalDavAccount, calendar: str
) -> None:
    event, seen = our_event(), Seen(account, calendar)

    first = await account.put(calendar, event, etag=None)
    again = await account.put(calendar, event, etag=None)
    await seen.follow()

    assert first.id == again.id
    ((id_, read),) = seen.events.items()
    assert (id_, read.etag, read.key, read.uid) == (again.id, again.etag, event.key, event.uid)
    assert [(each.start, each.end) for each in read.occurrences] == [(NINE, NINE + HOUR)]


async def test_an_event_is_moved_and_removed(account: CalDavAccount, calendar: str) -> None:
    event, seen = our_event(), Seen(account, calendar)
    written = await account.put(calendar, event, etag=None)

    moved = replace(event, start=NINE + HOUR, end=NINE + 2 * HOUR)
    await account.put(calendar, moved, etag=written.etag)
    await seen.follow()
    assert seen.starts == ["2026-12-01 10:00:00+00:00"]
    await account.remove(calendar, event.key, written.id)
    await account.remove(calendar, event.key, None)
    await seen.follow()

    assert seen.starts == []


async def test_what_somebody_has_changed_is_stale_and_can_be_put_right(
    account: CalDavAccount, server: DavServer, calendar: str
) -> None:
    event, seen = our_event(), Seen(account, calendar)
    written = await account.put(calendar, event, etag=None)
    server.put(written.id, f"UID:{event.uid}\nDTSTART:20261224T090000Z\nDURATION:PT1H")

    with pytest.raises(Stale):
        await account.put(calendar, event, etag=written.etag)
    await account.put(calendar, event, etag=None)
    await seen.follow()

    assert seen.starts == [str(NINE)]


async def test_what_somebody_has_deleted_is_stale_and_can_be_put_back(
    account: CalDavAccount, server: DavServer, calendar: str
) -> None:
    event, seen = our_event(), Seen(account, calendar)
    written = await account.put(calendar, event, etag=None)
    server.call("DELETE", written.id)

    with pytest.raises(Stale):
        await account.put(calendar, event, etag=written.etag)
    await account.put(calendar, event, etag=None)
    await seen.follow()

    assert seen.starts == [str(NINE)]


async def test_a_calendar_that_is_gone_is_not_found(
    account: CalDavAccount, server: DavServer, calendar: str
) -> None:
    server.call("DELETE", calendar)

    with pytest.raises(NotFound):
        await Seen(account, calendar).follow()
    with pytest.raises((NotFound, Refused)):
        await account.put(calendar, our_event(), etag=None)


async def test_a_hundred_events_come_in_parts(
    account: CalDavAccount, server: DavServer, calendar: str
) -> None:
    for number in range(60):
        server.put(
            f"{calendar}{number}.ics", f"UID:{number}\nDTSTART:20261201T{number % 24:02}0000Z"
        )
    sizes, cursors = [], []
    async for page in account.changes(calendar, None, window=WINDOW, zone=ATHENS):
        sizes.append(len(page.events))
        cursors.append(page.cursor)

    assert (sum(sizes), max(sizes)) == (60, 25)
    assert cursors[:-1] == [None] * (len(cursors) - 1)
    assert cursors[-1] is not None


async def test_nobody_answers(caldav: CalDav) -> None:
    with pytest.raises(Temporary):
        await caldav.discover("http://127.0.0.1:9/", USER, PASSWORD)


@pytest.mark.parametrize(
    ("host", "url", "may"),
    [
        ("caldav.icloud.com", "https://p01-caldav.icloud.com/1/", True),
        ("caldav.icloud.com", "http://p01-caldav.icloud.com/1/", False),
        ("caldav.icloud.com", "https://icloud.com.evil.example/", False),
        ("example.com", "https://evil.com/", False),
        ("clinic.co.uk", "https://evil.co.uk/", False),
        ("clinic.example", "https://clinic.example/dav/", True),
    ],
)
def test_a_password_goes_to_its_own_domain_only(host: str, url: str, may: bool) -> None:
    assert may_get_password(host, url) is may
