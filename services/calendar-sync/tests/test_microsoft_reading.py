"""Reading calendars of Microsoft 365, by the double of Graph."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from calendar_sync.calendars.contract import (
    CursorGone,
    ExternalEvent,
    NotFound,
    Page,
    Temporary,
    Window,
)
from calendar_sync.calendars.microsoft import MicrosoftAccount
from calendar_sync.domain.busy import Reader

from .graph.mailbox import Mailbox, Recurrence
from .graph.server import GraphDouble
from .microsoft import an_account

ATHENS = ZoneInfo("Europe/Athens")
WINDOW = Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2027, 12, 1, tzinfo=UTC))
SPAN = (WINDOW.start, WINDOW.end)
MONDAY = datetime(2026, 10, 19, 7, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Reading:
    """What somebody knows who reads again and again."""

    def __init__(self, account: MicrosoftAccount, calendar_id: str) -> None:
        self.account = account
        self.calendar_id = calendar_id
        self.cursor: str | None = None
        self.events: dict[str, ExternalEvent] = {}
        self.unreadable: dict[str, str] = {}
        self.pages: list[Page] = []

    async def go_on(self) -> None:
        self.pages = []
        async for page in self.account.changes(
            self.calendar_id, self.cursor, window=WINDOW, zone=ATHENS
        ):
            self.pages.append(page)
            self.events |= {event.id: event for event in page.events}
            self.unreadable |= {each.id: each.reason for each in page.unreadable}
        self.cursor = self.pages[-1].cursor

    @property
    def busy(self) -> set[tuple[datetime, datetime]]:
        reader = Reader(ATHENS, WINDOW, "clinic.example")
        return {(b.start, b.end) for each in self.events.values() for b in reader.busy_times(each)}


@pytest.fixture
async def graph() -> AsyncIterator[GraphDouble]:
    async with GraphDouble.open() as double:
        yield double


@pytest.fixture
def mailbox(graph: GraphDouble) -> Mailbox:
    return graph.new_mailbox()


@pytest.fixture
async def account(graph: GraphDouble, mailbox: Mailbox) -> AsyncIterator[MicrosoftAccount]:
    async with an_account(graph, mailbox) as account:
        yield account


@pytest.fixture
def reading(account: MicrosoftAccount, mailbox: Mailbox) -> Reading:
    return Reading(account, mailbox.default.id)


async def test_the_calendars_of_an_account(account: MicrosoftAccount, mailbox: Mailbox) -> None:
    mailbox.add_calendar("Holidays", can_edit=False)

    found = await account.calendars()

    assert [(each.name, each.is_writable, each.is_primary) for each in found] == [
        ("Calendar", True, True),
        ("Holidays", False, False),
    ]


async def test_everything_in_the_window_is_read_page_by_page(
    graph: GraphDouble, mailbox: Mailbox, reading: Reading
) -> None:
    graph.rounds.page_size = 7
    for day in range(60):
        mailbox.add(MONDAY + timedelta(days=10 * day))

    await reading.go_on()

    assert len(reading.pages) > 5
    assert all(page.cursor for page in reading.pages)
    assert reading.busy == mailbox.busy(SPAN)


async def test_a_reading_goes_on_after_any_page(
    graph: GraphDouble, mailbox: Mailbox, reading: Reading
) -> None:
    graph.rounds.page_size = 2
    for day in range(6):
        mailbox.add(MONDAY + timedelta(days=day))
    await reading.go_on()
    resumed = Reading(reading.account, reading.calendar_id)
    resumed.events = {event.id: event for event in reading.pages[0].events}
    resumed.cursor = reading.pages[0].cursor

    await resumed.go_on()

    assert resumed.busy == mailbox.busy(SPAN)


@pytest.mark.parametrize("replays", [False, True])
async def test_later_only_what_has_changed_is_read(
    graph: GraphDouble, mailbox: Mailbox, reading: Reading, *, replays: bool
) -> None:
    graph.rounds.replays = replays
    kept, moved, gone, away, freed = (mailbox.add(MONDAY + n * HOUR) for n in range(5))
    await reading.go_on()
    for _ in range(2):
        mailbox.change(moved, start=MONDAY + 30 * HOUR, end=MONDAY + 31 * HOUR)
    mailbox.delete(gone)
    mailbox.change(away, start=MONDAY.replace(year=2030), end=MONDAY.replace(year=2030) + HOUR)
    mailbox.change(freed, showAs="free")
    new = mailbox.add(MONDAY + 50 * HOUR)

    await reading.go_on()

    mentioned = {event.id for page in reading.pages for event in page.events}
    assert mentioned == {moved.id, gone.id, away.id, freed.id, new.id}
    assert kept.id in reading.events
    assert reading.busy == mailbox.busy(SPAN)


async def test_a_quiet_calendar_costs_one_request(
    graph: GraphDouble, mailbox: Mailbox, reading: Reading
) -> None:
    mailbox.add(MONDAY)
    await reading.go_on()
    graph.calls.clear()

    await reading.go_on()

    assert len(graph.calls) == 1
    assert [page.events for page in reading.pages] == [[]]


async def test_a_series_keeps_its_local_time_when_the_clocks_change(
    mailbox: Mailbox, reading: Reading
) -> None:
    mailbox.add(
        MONDAY, HOUR, windows_zone="GTB Standard Time", recurrence=Recurrence(every=7, count=3)
    )

    await reading.go_on()

    # Clocks go back in the night to 25 October 2026.
    starts = sorted(start for start, _ in reading.busy)
    assert starts == [
        datetime(2026, 10, 19, 7, tzinfo=UTC),
        datetime(2026, 10, 26, 8, tzinfo=UTC),
        datetime(2026, 11, 2, 8, tzinfo=UTC),
    ]


async def test_a_series_is_as_its_owner_left_it(
    graph: GraphDouble, mailbox: Mailbox, reading: Reading
) -> None:
    graph.rounds.page_size = 5
    series = mailbox.add(
        MONDAY, HOUR, windows_zone="GTB Standard Time", recurrence=Recurrence(every=1, count=40)
    )
    await reading.go_on()
    assert reading.busy == mailbox.busy(SPAN)

    mailbox.delete_occurrence(series, date(2026, 10, 21))
    mailbox.move_occurrence(series, date(2026, 10, 23), datetime(2026, 12, 24, 10, tzinfo=UTC))
    mailbox.move_occurrence(series, date(2026, 10, 24), MONDAY + 9 * HOUR, showAs="free")
    await reading.go_on()

    assert reading.busy == mailbox.busy(SPAN)
    assert len(reading.busy) == 38

    mailbox.change(series, showAs="workingElsewhere")
    await reading.go_on()
    mailbox.change(series, showAs="busy")
    series.recurrence = Recurrence(every=7, count=2)
    await reading.go_on()

    assert len(reading.busy) == 2

    mailbox.delete(series)
    await reading.go_on()

    assert reading.busy == set()


async def test_a_series_that_was_mentioned_is_never_left_out_by_going_on(
    graph: GraphDouble, mailbox: Mailbox, reading: Reading
) -> None:
    graph.rounds.page_size = 3
    mailbox.add(MONDAY, recurrence=Recurrence(every=1, count=4))
    mailbox.add(MONDAY + HOUR)

    await reading.go_on()

    told = next(
        n
        for n, page in enumerate(reading.pages)
        if any(len(event.occurrences) == 4 for event in page.events)
    )
    assert all(page.cursor is None for page in reading.pages[: told + 1])


@pytest.mark.parametrize("tries", range(4))
async def test_a_cursor_that_is_gone_is_said_to_be(
    graph: GraphDouble, mailbox: Mailbox, reading: Reading, tries: int
) -> None:
    for _ in range(tries + 1):  # Graph says it in two ways
        await reading.go_on()
    graph.rounds.expire()

    with pytest.raises(CursorGone):
        await reading.go_on()


async def test_a_cursor_dies_between_two_pages(
    graph: GraphDouble, mailbox: Mailbox, account: MicrosoftAccount
) -> None:
    graph.rounds.page_size = 1
    for _ in range(3):
        mailbox.add(MONDAY)
    pages = account.changes(mailbox.default.id, None, window=WINDOW, zone=ATHENS)
    await anext(pages)
    graph.rounds.expire()

    with pytest.raises(CursorGone):
        await anext(pages)


async def test_a_calendar_that_is_gone_is_not_found(account: MicrosoftAccount) -> None:
    with pytest.raises(NotFound):
        await Reading(account, "AQMknothing=").go_on()


async def test_no_link_leads_our_access_elsewhere(account: MicrosoftAccount) -> None:
    reading = Reading(account, "any")
    reading.cursor = "https://graph.example/v1.0/me/calendarView/delta?$deltatoken=1"

    with pytest.raises(Temporary, match="foreign_link"):
        await reading.go_on()


@pytest.mark.parametrize(
    ("says", "is_busy"),
    [
        ({"showAs": "free"}, False),
        ({"showAs": "workingElsewhere"}, False),
        ({"showAs": "tentative"}, True),
        ({"showAs": "oof"}, True),
        ({"showAs": "unknown"}, True),
        ({"isCancelled": True}, False),
        ({"responseStatus": {"response": "declined"}}, False),
        ({"responseStatus": {"response": "accepted"}}, True),
        ({"sensitivity": "private"}, True),
    ],
)
async def test_what_takes_time(
    mailbox: Mailbox, reading: Reading, says: dict[str, object], *, is_busy: bool
) -> None:
    event = mailbox.add(MONDAY, **says)

    await reading.go_on()

    assert bool(reading.busy) is is_busy
    only = reading.events[event.id].occurrences[0]
    assert only.is_tentative is (says.get("showAs") == "tentative")


@pytest.mark.parametrize("own_zone", [False, True])
async def test_whole_days_are_days_of_the_calendar(
    graph: GraphDouble, mailbox: Mailbox, reading: Reading, *, own_zone: bool
) -> None:
    graph.ignores_zone_wish = own_zone
    mailbox.add_days(date(2026, 10, 25), 2, windows_zone="GTB Standard Time")

    await reading.go_on()

    assert reading.busy == {
        (datetime(2026, 10, 24, 21, tzinfo=UTC), datetime(2026, 10, 26, 22, tzinfo=UTC))
    }


async def test_times_are_understood_in_windows_zones(
    graph: GraphDouble, mailbox: Mailbox, reading: Reading
) -> None:
    graph.ignores_zone_wish = True
    for name in ("GTB Standard Time", "Pacific Standard Time", "Asia/Tokyo", "UTC"):
        mailbox.add(MONDAY, windows_zone=name)

    await reading.go_on()

    assert reading.busy == {(MONDAY, MONDAY + HOUR / 2)}
    assert len(reading.events) == 4


async def test_an_event_that_makes_no_sense_stops_no_other(
    graph: GraphDouble, mailbox: Mailbox, reading: Reading
) -> None:
    graph.ignores_zone_wish = True
    bad = mailbox.add(MONDAY, windows_zone="tzone://Microsoft/Custom")
    good = mailbox.add(MONDAY + HOUR)

    await reading.go_on()

    assert reading.unreadable == {bad.id: "unknown_timezone"}
    assert set(reading.events) == {good.id}
