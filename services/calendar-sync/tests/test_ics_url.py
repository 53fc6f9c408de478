"""Calendar files under an address: read when they change, whatever is in them."""

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from calendar_sync.calendars import ics_url
from calendar_sync.calendars.contract import (
    AccessGone,
    CalendarError,
    CursorGone,
    ExternalEvent,
    NotFound,
    Page,
    Refused,
    Temporary,
    Window,
)
from calendar_sync.calendars.dav import parsed
from calendar_sync.calendars.expansion import Expander, Object
from calendar_sync.calendars.ics_url import IcsAccount
from shared.outside import Outside

from .files import FileServer, file_server

WINDOW = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))
A = "UID:a\nDTSTART:20261201T090000Z\nDTEND:20261201T100000Z"


@pytest.fixture
async def files() -> AsyncIterator[FileServer]:
    async with file_server() as files:
        yield files


@pytest.fixture
async def expander() -> AsyncIterator[Expander]:
    async with Expander.open() as expander:
        yield expander


@pytest.fixture
async def account(files: FileServer, expander: Expander) -> AsyncIterator[IcsAccount]:
    async with Outside.open(opened={"127.0.0.1"}) as outside:
        yield IcsAccount(outside, expander, files.url)


async def read(account: IcsAccount, cursor: str | None = None) -> list[Page]:
    return [
        page
        async for page in account.changes(
            "file", cursor, window=WINDOW, zone=ZoneInfo("Europe/Athens")
        )
    ]


async def events(account: IcsAccount) -> dict[str, ExternalEvent]:
    return {event.id: event for page in await read(account) for event in page.events}


@pytest.mark.parametrize("has_etag", [True, False])
async def test_a_file_is_read_again_only_when_it_has_changed(
    account: IcsAccount, files: FileServer, has_etag: bool
) -> None:
    files.has_etag = has_etag
    files.set(A)
    (first,) = await read(account)
    (quiet,) = await read(account, first.cursor)
    files.set(A, A.replace("UID:a", "UID:b"))

    with pytest.raises(CursorGone):
        await read(account, quiet.cursor)

    assert [event.id for event in first.events] == ["a"]
    assert quiet.events == ()
    assert files.answered[1] == (304 if has_etag else 200)
    assert sorted(await events(account)) == ["a", "b"]


async def test_events_of_long_ago_are_not_even_parsed(
    account: IcsAccount, files: FileServer
) -> None:
    past = [
        f"UID:{n}\nDTSTART:20160101T090000Z\nDTEND:20160101T100000Z\nSUMMARY:x" for n in range(9000)
    ]
    files.set(A, *past)

    assert sorted(await events(account)) == ["a"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ("UID:x\nDTSTART:20200101T000000Z\nRRULE:FREQ=SECONDLY", "too_many_occurrences"),
        ("UID:x\nDTSTART:20200101T000000Z\nRRULE:FREQ=MINUTELY", "too_many_occurrences"),
        (
            "UID:x\nDTSTART:20200101T000000Z\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
            "too_much_work",
        ),
        (
            "UID:x\nDTSTART:20261201T000000Z\nRRULE:FREQ=DAILY;BYHOUR="
            + ",".join(map(str, range(24))),
            "too_many_occurrences",
        ),
        ("UID:x\nSUMMARY:no start", "no_start"),
        ("UID:x\nDTSTART:20261332T990000Z", "invalid"),
        ("UID:x\nDTSTART:20261201T090000Z\nSUMMARY:" + "x" * 400_000, "too_large"),
        (
            "UID:x\nDTSTART:20261201T090000Z\n" + "BEGIN:VALARM\n" * 50 + "END:VALARM\n" * 50,
            "nested_too_deep",
        ),
    ],
)
async def test_one_hostile_event_costs_only_itself(
    account: IcsAccount, files: FileServer, event: str, reason: str
) -> None:
    files.set(event.rstrip("\n"), A)

    (page,) = await read(account)

    assert [(each.id, each.reason) for each in page.unreadable] == [("x", reason)]
    assert [event.id for event in page.events] == ["a"]


async def test_an_unknown_zone_is_the_calendars_own(account: IcsAccount, files: FileServer) -> None:
    files.set("UID:x\nDTSTART;TZID=Mars/Base:20261201T090000\nDURATION:PT1H")

    (event,) = (await events(account)).values()

    assert event.occurrences[0].start == datetime(2026, 12, 1, 9)  # noqa: DTZ001 -- local


async def test_without_uid_events_are_still_read(account: IcsAccount, files: FileServer) -> None:
    files.set("DTSTART:20261201T090000Z\nDURATION:PT1H")

    assert list(await events(account)) == ["without-uid-20261201"]


async def test_a_file_with_very_many_events_is_refused(
    account: IcsAccount, files: FileServer
) -> None:
    files.text = b"BEGIN:VCALENDAR\r\n" + b"X" * (ics_url.MOST_BYTES + 1)

    with pytest.raises(Refused, match="calendar_too_large"):
        await read(account)


async def test_a_hundred_thousand_events_are_refused_before_they_are_read(
    account: IcsAccount, files: FileServer
) -> None:
    event = "BEGIN:VEVENT\nUID:{}\nDTSTART:20261201T09Z\nEND:VEVENT\n"
    whole = "".join(event.format(number) for number in range(100_000))
    files.text = f"BEGIN:VCALENDAR\n{whole}END:VCALENDAR\n".encode()

    with pytest.raises(Refused, match="calendar_too_large"):
        await read(account)
    files.set(A)
    assert sorted(await events(account)) == ["a"]


async def test_a_slow_drip_ends_in_time(
    account: IcsAccount, files: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ics_url, "_SECONDS", 0.3)
    files.set(*[A] * 20)
    files.drips = True

    with pytest.raises(Temporary, match="unreachable"):
        await read(account)


@pytest.mark.parametrize(
    ("status", "headers", "error", "reason"),
    [
        (200, {}, Refused, "not_a_calendar"),
        (401, {}, AccessGone, "login_refused"),
        (404, {}, NotFound, "calendar_gone"),
        (503, {"Retry-After": "7"}, Temporary, "server_error"),
        (302, {"Location": "http://10.0.0.1/"}, Refused, "address_not_allowed"),
        (302, {"Location": "https://localhost/"}, Refused, "address_not_allowed"),
        (302, {"Location": "http://[::1]/"}, Refused, "address_not_allowed"),
    ],
)
async def test_other_answers_have_their_names(
    account: IcsAccount,
    files: FileServer,
    status: int,
    headers: dict[str, str],
    error: type[CalendarError],
    reason: str,
) -> None:
    files.text, files.status, files.headers = b"<html>", status, headers

    with pytest.raises(error, match=reason):
        await read(account)


async def test_the_process_may_be_killed_and_is_started_anew(expander: Expander) -> None:
    text = f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n{A}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n".encode()
    (first,) = await expander.objects([Object("a", None, text)], WINDOW)
    process = expander._process
    assert process is not None
    process.kill()
    await process.wait()

    (again,) = await expander.objects([Object("a", None, text)], WINDOW)

    assert again == first


async def test_a_process_that_does_not_work_is_no_events_fault(
    expander: Expander, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(Temporary, match="no_process"):
        await expander.objects([Object("a", None, b"")], WINDOW)


def variables_of(pid: int) -> list[str]:
    environment = Path(f"/proc/{pid}/environ").read_text()
    return [each.partition("=")[0] for each in environment.split("\0")[:-1]]


async def test_the_process_knows_no_secret(
    expander: Expander, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALENDAR_KEYS", "a-secret")
    await expander.objects([], WINDOW)
    await expander.objects([Object("a", None, b"")], WINDOW)

    assert expander._process is not None
    assert variables_of(expander._process.pid) == ["PYTHONPATH"]


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
        b'<!DOCTYPE x SYSTEM "http://169.254.169.254/"><x/>',
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
        b"<x>",
        b"",
        b"\xff\xfe\x00",
    ],
)
def test_xml_with_entities_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        parsed(body)
