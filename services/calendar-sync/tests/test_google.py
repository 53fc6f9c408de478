"""What the adapter makes of Google's calendar, and what it leaves there."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from calendar_sync.calendars.contract import (
    MARKER,
    AccessGone,
    CalendarError,
    ChannelRequest,
    Credentials,
    CursorGone,
    ExternalEvent,
    NotFound,
    OurEvent,
    Page,
    PushingAccount,
    Refused,
    Stale,
    Temporary,
    Unreadable,
    Window,
)
from calendar_sync.calendars.google import GoogleAccount, GoogleKind, events, registration
from calendar_sync.calendars.google.events import ids_of
from calendar_sync.calendars.oauth import OAuth
from shared.http import MockTransport, Request, Response, new_client
from shared.ids import new_id

from .google_double import GoogleDouble
from .google_double.consent import Grant
from .google_double.discovery import strangers
from .google_double.refusals import GoogleSaysNo
from .google_double.server import CLIENT_ID, CLIENT_SECRET
from .google_double.store import Calendar

ATHENS = ZoneInfo("Europe/Athens")
WINDOW = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))
NINE = datetime(2026, 12, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = UUID("0192f1a0-6f0c-7d51-9a35-6b3c1d8a7e42")


@pytest.fixture
async def google() -> AsyncIterator[GoogleDouble]:
    async with GoogleDouble.running() as double:
        yield double
        wrong = [each for answer in double.answers for each in strangers(*answer)]
        assert wrong == []
        # Patients and providers hear of appointments from us, not from Google.
        writes = [query for method, path, query in double.requests if _is_write(method, path)]
        assert all(query["sendUpdates"] == "none" for query in writes)


def _is_write(method: str, path: str) -> bool:
    return "/events" in path and method != "GET" and not path.endswith("/watch")


@pytest.fixture
def calendar(google: GoogleDouble) -> Calendar:
    return google.an_account()


@pytest.fixture
def grant(google: GoogleDouble) -> Grant:
    return google.sign_in()


@pytest.fixture
def saved() -> list[Credentials]:
    return []


@pytest.fixture
async def account(
    google: GoogleDouble, grant: Grant, saved: list[Credentials]
) -> AsyncIterator[GoogleAccount]:
    async def save(credentials: Credentials) -> None:
        await asyncio.sleep(0)
        saved.append(credentials)

    async with new_client() as http:
        kind = GoogleKind(OAuth(http, registered(google)), google.api_url)
        async with kind.open({"refresh_token": grant.refresh_token}, save) as account:
            yield account


def registered(google: GoogleDouble) -> Any:
    return registration(
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        authorize_url=f"{google.url}/o/oauth2/v2/auth",
        token_url=f"{google.url}/token",
        revoke_url=f"{google.url}/revoke",
    )


def at(instant: datetime) -> dict[str, str]:
    return {"dateTime": instant.isoformat(), "timeZone": "Europe/Athens"}


def an_event(**changes: Any) -> OurEvent:
    fixed: dict[str, Any] = {
        "key": KEY,
        "uid": f"{KEY}@clinic.example",
        "start": NINE,
        "end": NINE + HOUR,
        "summary": "Appointment",
        "location": "Main clinic",
        "description": None,
        "sequence": 1,
        "changed_at": NINE,
    }
    return OurEvent(**fixed | changes)


async def read(
    account: GoogleAccount, calendar: Calendar, cursor: str | None = None
) -> tuple[dict[str, ExternalEvent], list[Page]]:
    changes = account.changes(calendar.id, cursor, window=WINDOW, zone=ATHENS)
    pages = [page async for page in changes]
    return {event.id: event for page in pages for event in page.events}, pages


async def test_everything_is_read_and_then_only_what_has_changed(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    ids = [google.enter(calendar, start=at(NINE), end=at(NINE + HOUR))["id"] for _ in range(5)]
    google.lists.most_of_a_page, google.lists.has_empty_pages = 2, True

    first, pages = await read(account, calendar)
    quiet, _ = await read(account, calendar, pages[-1].cursor)
    google.remove(calendar, ids[0])
    google.edit(calendar, ids[1], start=at(NINE + HOUR), end=at(NINE + 2 * HOUR))
    since, _ = await read(account, calendar, pages[-1].cursor)

    assert set(first) == set(ids)
    assert [page.cursor is not None for page in pages] == [False, False, False, True]
    assert [len(page.events) for page in pages] == [0, 2, 2, 1]
    assert quiet == {}
    assert set(since) == set(ids[:2])
    assert since[ids[0]].occurrences == ()
    assert since[ids[1]].occurrences[0].start == NINE + HOUR
    assert since[ids[1]].etag != first[ids[1]].etag


async def test_nobodys_names_and_subjects_are_asked_for(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    google.enter(calendar, start=at(NINE), end=at(NINE + HOUR), summary="Private")

    await read(account, calendar)

    (fields,) = [query["fields"] for _, path, query in google.requests if path.endswith("/events")]
    assert not {"summary", "description", "location", "email"} & set(
        fields.replace("(", ",").replace(")", ",").split(",")
    )


async def test_a_series_comes_as_instances_at_its_local_time(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    # Athens goes to summer time on 28 March 2027.
    start = datetime(2027, 3, 27, 9, tzinfo=ATHENS)
    series = google.enter(
        calendar, start=at(start), end=at(start + HOUR), recurrence=["RRULE:FREQ=DAILY;COUNT=3"]
    )

    first, pages = await read(account, calendar)
    instances = sorted(first)
    google.remove(calendar, instances[0])
    moved = start + timedelta(days=1, hours=5)
    google.edit(calendar, instances[1], start=at(moved), end=at(moved + HOUR))
    since, _ = await read(account, calendar, pages[-1].cursor)
    google.remove(calendar, series["id"])
    gone, _ = await read(account, calendar, pages[-1].cursor)

    starts = sorted(event.occurrences[0].start for event in first.values())  # type: ignore[type-var]
    assert [each.astimezone(UTC).hour for each in starts] == [7, 6, 6]
    assert set(since) == {instances[0], instances[1]}
    assert since[instances[0]].occurrences == ()
    assert since[instances[1]].occurrences[0].start == moved
    assert {event.occurrences for event in gone.values()} == {()}
    assert set(gone) >= set(instances)


@pytest.mark.parametrize(
    ("details", "flags"),
    [
        ({}, set()),
        ({"transparency": "transparent"}, {"is_free"}),
        ({"transparency": "opaque"}, set()),
        ({"status": "tentative"}, {"is_tentative"}),
        ({"eventType": "workingLocation"}, {"is_free"}),
        ({"eventType": "birthday"}, {"is_free"}),
        ({"eventType": "outOfOffice"}, set()),
        ({"eventType": "focusTime"}, set()),
        ({"attendees": [{"self": True, "responseStatus": "declined"}]}, {"is_declined"}),
        ({"attendees": [{"self": True, "responseStatus": "tentative"}]}, {"is_tentative"}),
        ({"attendees": [{"self": True, "responseStatus": "needsAction"}]}, set()),
        ({"attendees": [{"responseStatus": "declined"}]}, set()),
        (
            {
                "attendees": [
                    {"email": "a@b.test", "responseStatus": "accepted"},
                    {"email": "c@d.test", "responseStatus": "accepted"},
                    {"self": True, "responseStatus": "declined"},
                ]
            },
            {"is_declined"},
        ),
    ],
)
async def test_what_takes_time_and_what_does_not(
    google: GoogleDouble,
    calendar: Calendar,
    account: GoogleAccount,
    details: dict[str, Any],
    flags: set[str],
) -> None:
    google.enter(calendar, start=at(NINE), end=at(NINE + HOUR), **details)

    found, _ = await read(account, calendar)

    ((occurrence,),) = [event.occurrences for event in found.values()]
    known = ("is_free", "is_tentative", "is_declined", "is_cancelled")
    assert {name for name in known if getattr(occurrence, name)} == flags


async def test_a_day_is_a_day_and_an_odd_event_is_skipped(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    day = google.enter(calendar, start={"date": "2026-12-05"}, end={"date": "2026-12-07"})["id"]
    odd = google.enter(calendar, start=at(NINE), end=at(NINE + HOUR))["id"]
    calendar.events[odd].data["attendees"] = [7]

    found, pages = await read(account, calendar)

    (occurrence,) = found[day].occurrences
    assert (occurrence.start, occurrence.end) == (date(2026, 12, 5), date(2026, 12, 7))
    assert [(each.id, each.reason) for each in pages[0].unreadable] == [(odd, "not_understood")]
    google.answers.clear()  # this one is not Google's own


@pytest.mark.parametrize(
    "change",
    [
        {"start": None},
        {"start": {}},
        {"start": {"dateTime": "today"}},
        {"start": {"dateTime": 7}},
        {"start": {"dateTime": "2026-12-01T09:00:00"}},
        {"start": {"dateTime": "2026-12-01T09:00:00", "timeZone": "Mars/Base"}},
        {"start": {"dateTime": "2026-12-01T09:00:00", "timeZone": "../../etc/passwd"}},
        {"start": {"dateTime": "2026-12-01T09:00:00", "timeZone": "Europe"}},
        {"start": {"dateTime": "2026-12-01T09:00:00", "timeZone": "\0"}},
        {"end": {"date": "0000-00-00"}},
        {"attendees": "nobody"},
        {"attendees": 7},
        {"id": 7},
    ],
)
def test_what_makes_no_sense_is_unreadable(change: dict[str, Any]) -> None:
    item = {"id": "odd", "start": at(NINE), "end": at(NINE + HOUR), "status": "confirmed"}

    assert isinstance(events.read(item), ExternalEvent)
    assert isinstance(events.read(item | change), Unreadable)
    assert isinstance(events.read(None), Unreadable)


def test_what_is_cancelled_takes_no_time_whatever_else_it_says() -> None:
    item = {"id": "gone", "start": at(NINE), "end": at(NINE + HOUR), "status": "cancelled"}

    found = events.read(item)

    assert isinstance(found, ExternalEvent)
    assert found.occurrences == ()


def test_a_time_without_an_offset_is_one_of_its_zone() -> None:
    local = {"dateTime": "2026-12-01T11:00:00", "timeZone": "Europe/Athens"}

    found = events.read({"id": "local", "start": local, "end": at(NINE + HOUR)})

    assert isinstance(found, ExternalEvent)
    assert found.occurrences[0].start == NINE


async def test_our_events_are_known_by_their_marker(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    private = {"private": {MARKER: str(KEY)}}
    ours = google.enter(calendar, start=at(NINE), end=at(NINE + HOUR), extendedProperties=private)[
        "id"
    ]
    wrong = google.enter(
        calendar,
        start=at(NINE),
        end=at(NINE + HOUR),
        extendedProperties={"private": {MARKER: "no key"}},
    )["id"]

    found, _ = await read(account, calendar)

    assert (found[ours].key, found[wrong].key) == (KEY, None)


@pytest.mark.parametrize("page", [0, 1, 2])
async def test_a_sync_token_that_has_died_is_told_at_any_page(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount, page: int
) -> None:
    _, pages = await read(account, calendar)
    for _ in range(6):
        google.enter(calendar, start=at(NINE), end=at(NINE + HOUR))
    google.lists.most_of_a_page = 2
    google.faults.plan("GET", "/events", GoogleSaysNo(410, "fullSyncRequired"), skip=page)

    changes = account.changes(calendar.id, pages[-1].cursor, window=WINDOW, zone=ATHENS)
    for _ in range(page):
        await anext(changes)

    with pytest.raises(CursorGone):
        await anext(changes)


async def test_a_sync_token_that_google_does_not_know_is_gone_too(
    calendar: Calendar, account: GoogleAccount
) -> None:
    with pytest.raises(CursorGone):
        await read(account, calendar, "nonsense")


async def test_an_event_is_written_once_however_often(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    first = await account.put(calendar.id, an_event(), etag=None)
    again = await account.put(calendar.id, an_event(summary="Again"), etag=None)
    moved = await account.put(
        calendar.id, an_event(start=NINE + HOUR, end=NINE + 2 * HOUR), etag=again.etag
    )

    (event,) = calendar.events.values()
    assert {first.id, again.id, moved.id} == {ids_of(KEY)[0]}
    assert len({first.etag, again.etag, moved.etag}) == 3
    assert event.data["start"] == {"dateTime": "2026-12-01T10:00:00Z"}
    assert event.data["extendedProperties"] == {"private": {MARKER: str(KEY)}}
    found, _ = await read(account, calendar)
    assert found[first.id].key == KEY
    assert found[first.id].etag == moved.etag


async def test_the_owners_own_touches_stay(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    written = await account.put(calendar.id, an_event(), etag=None)
    google.edit(calendar, written.id, colorId="7", location="Elsewhere")

    with pytest.raises(Stale):
        await account.put(calendar.id, an_event(), etag=written.etag)
    await account.put(calendar.id, an_event(location=None), etag=None)

    data = calendar.events[written.id].data
    assert data["colorId"] == "7"
    assert "location" not in data


async def test_a_timed_event_that_was_made_a_day_becomes_timed_again(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    written = await account.put(calendar.id, an_event(), etag=None)
    google.edit(
        calendar,
        written.id,
        start={"date": "2026-12-01", "dateTime": None},
        end={"date": "2026-12-02", "dateTime": None},
    )

    await account.put(calendar.id, an_event(), etag=None)

    assert calendar.events[written.id].data["start"] == {"dateTime": "2026-12-01T09:00:00Z"}


async def test_a_deleted_event_is_stale_and_comes_back(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    written = await account.put(calendar.id, an_event(), etag=None)
    google.remove(calendar, written.id)

    with pytest.raises(Stale):
        await account.put(calendar.id, an_event(), etag=written.etag)
    back = await account.put(calendar.id, an_event(), etag=None)

    assert back.id == written.id
    assert calendar.events[back.id].data["status"] == "confirmed"
    assert len(calendar.events) == 1


async def test_an_id_that_is_somebody_elses_is_left_alone(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    taken, other = ids_of(KEY)
    google.enter(calendar, id=taken, start=at(NINE), end=at(NINE + HOUR), summary="Not ours")

    first = await account.put(calendar.id, an_event(), etag=None)
    again = await account.put(calendar.id, an_event(), etag=None)
    await account.remove(calendar.id, KEY, None)

    assert {first.id, again.id} == {other}
    assert calendar.events[taken].data["summary"] == "Not ours"
    assert calendar.events[taken].data["status"] == "confirmed"
    assert calendar.events[other].data["status"] == "cancelled"


@pytest.mark.parametrize("is_known", [True, False])
async def test_what_is_removed_twice_is_gone(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount, is_known: bool
) -> None:
    written = await account.put(calendar.id, an_event(), etag=None)
    id_ = written.id if is_known else None

    for _ in range(2):
        await account.remove(calendar.id, KEY, id_)
    await account.remove(calendar.id, new_id(), None)
    await account.remove("no-such-calendar", KEY, id_)

    assert calendar.events[written.id].data["status"] == "cancelled"


async def test_an_answer_that_was_lost_makes_no_second_event(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    google.faults.plan("POST", "/events", is_after=True)

    with pytest.raises(Temporary, match="unreachable"):
        await account.put(calendar.id, an_event(), etag=None)
    await account.put(calendar.id, an_event(), etag=None)

    assert len(calendar.events) == 1


async def test_an_answer_that_does_not_come_is_not_waited_for(
    google: GoogleDouble, calendar: Calendar, grant: Grant
) -> None:
    async def save(credentials: Credentials) -> None: ...

    async with new_client(timeout=3) as http:
        kind = GoogleKind(OAuth(http, registered(google)), google.api_url)
        async with kind.open({"refresh_token": grant.refresh_token}, save) as account:
            await account.calendars()
            google.faults.held = asyncio.Event()
            with pytest.raises(Temporary, match="unreachable"):
                await account.put(calendar.id, an_event(), etag=None)
            google.faults.held.set()
            await account.put(calendar.id, an_event(), etag=None)

    assert len(calendar.events) == 1


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (403, "rateLimitExceeded", Temporary("rate_limited", timedelta(seconds=17))),
        (403, "userRateLimitExceeded", Temporary("rate_limited", timedelta(seconds=17))),
        (403, "quotaExceeded", Temporary("rate_limited", timedelta(seconds=17))),
        (429, "rateLimitExceeded", Temporary("rate_limited", timedelta(seconds=17))),
        (500, "backendError", Temporary("provider_busy", timedelta(seconds=17))),
        (503, "backendError", Temporary("provider_busy", timedelta(seconds=17))),
        (403, "accessNotConfigured", Temporary("api_switched_off")),
        (403, "forbidden", Refused("not_allowed")),
        (403, "requiredAccessLevel", Refused("not_allowed")),
        (403, "insufficientPermissions", Refused("not_allowed")),
        (400, "badRequest", Refused("refused")),
        (404, "notFound", NotFound("calendar_not_found")),
    ],
)
async def test_refusals_are_told_by_their_reason(
    google: GoogleDouble,
    calendar: Calendar,
    account: GoogleAccount,
    status: int,
    reason: str,
    expected: CalendarError,
) -> None:
    refusal = GoogleSaysNo(status, reason, headers={"Retry-After": "17"})
    google.faults.plan("GET", "/events", refusal)
    google.faults.plan("POST", "/events", refusal)

    for call in (read(account, calendar), account.put(calendar.id, an_event(), etag=None)):
        with pytest.raises(type(expected)) as caught:
            await call
        assert caught.value.reason == expected.reason
        assert getattr(caught.value, "retry_after", None) == getattr(expected, "retry_after", None)


async def test_a_broken_connection_and_nonsense_are_temporary(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    google.faults.plan("GET", "/events")

    with pytest.raises(Temporary, match="unreachable"):
        await read(account, calendar)


# Access


async def test_a_token_is_renewed_when_it_has_ended_and_kept_before_it_is_used(
    google: GoogleDouble,
    calendar: Calendar,
    account: GoogleAccount,
    saved: list[Credentials],
    grant: Grant,
) -> None:
    await account.calendars()
    await account.calendars()
    before = len(saved)
    google.ahead = timedelta(hours=2)
    await account.calendars()

    assert (before, len(saved), google.consents.refreshes) == (1, 2, 2)
    assert {each["refresh_token"] for each in saved} == {grant.refresh_token}
    assert saved[-1]["access_token"] in grant.access_tokens


@pytest.mark.parametrize("ends_at", ["0", "99999999999"])
async def test_a_clock_that_was_wrong_costs_one_renewal(
    google: GoogleDouble, calendar: Calendar, grant: Grant, ends_at: str
) -> None:
    saved: list[Credentials] = []

    async def save(credentials: Credentials) -> None:
        saved.append(credentials)

    before = {
        "access_token": "ya29.ended-long-ago",
        "refresh_token": grant.refresh_token,
        "expires_at": ends_at,
    }
    async with new_client() as http:
        kind = GoogleKind(OAuth(http, registered(google)), google.api_url)
        async with kind.open(before, save) as account:
            for _ in range(3):
                await account.calendars()

    assert google.consents.refreshes == len(saved) == 1


async def test_many_requests_at_once_renew_once(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount, saved: list[Credentials]
) -> None:
    await asyncio.gather(*(account.calendars() for _ in range(20)))
    google.ahead = timedelta(hours=2)
    await asyncio.gather(*(account.calendars() for _ in range(20)))

    assert google.consents.refreshes == len(saved) == 2


async def test_a_revoked_grant_is_access_that_is_gone(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    await account.calendars()
    google.consents.revoke(calendar.id)

    with pytest.raises(AccessGone, match="invalid_grant"):
        await account.calendars()


async def test_a_wrong_client_secret_breaks_nobodys_connection(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    google.consents.client_secret = "another-by-now"

    with pytest.raises(Temporary, match="oauth_client_refused"):
        await account.calendars()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"[]"),
        (200, b"<html>"),
        (200, b'{"access_token": 7, "expires_in": 3600}'),
        (200, b'{"access_token": "a b", "expires_in": 3600}'),
        (200, b'{"access_token": "a\\r\\nX-Y: z", "expires_in": 3600}'),
        (302, b""),
        (400, b"[]"),
        (400, b'{"error": {"code": 400}}'),
        (400, b'{"error": ["invalid_grant"]}'),
        (400, b'{"error": "invalid_request"}'),
        (403, b'{"error": {"code": 403, "errors": 7}}'),
        (429, b"slow down"),
        (503, b""),
    ],
)
async def test_odd_answers_of_the_token_server_are_temporary(status: int, body: bytes) -> None:
    await _asked_with_odd_answers(OddAnswers(token=(status, body)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"items": {}, "nextSyncToken": "x"}',
        b'{"items": [], "nextSyncToken": 7}',
        b'{"items": [], "nextPageToken": 7}',
        b'{"items": [], "nextPageToken": "same"}',
        b'{"items": []}',
    ],
)
async def test_odd_answers_of_the_calendar_are_temporary(body: bytes) -> None:
    await _asked_with_odd_answers(OddAnswers(events=(200, body)))


@dataclass
class OddAnswers:
    token: tuple[int, bytes] = (200, b'{"access_token": "t", "expires_in": 3600}')
    events: tuple[int, bytes] = (200, b'{"items": [], "nextSyncToken": "x"}')

    def __call__(self, request: Request) -> Response:
        status, body = self.token if request.url.path == "/token" else self.events
        return Response(status, content=body)


async def _asked_with_odd_answers(answers: OddAnswers) -> None:
    async def save(credentials: Credentials) -> None: ...

    where = registration(
        client_id="x",
        client_secret="y",
        authorize_url="",
        token_url="https://google.test/token",
        revoke_url="",
    )
    async with new_client(transport=MockTransport(answers)) as http:
        kind = GoogleKind(OAuth(http, where), "https://google.test/api")
        async with kind.open({"refresh_token": "r"}, save) as account:
            with pytest.raises(Temporary):
                async for _ in account.changes("primary", None, window=WINDOW, zone=ATHENS):
                    pass


async def test_access_that_is_given_back_is_gone(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount, grant: Grant
) -> None:
    await account.revoke()
    await account.revoke()

    assert grant.is_revoked


async def test_only_calendars_that_the_account_owns_are_offered(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    google.add_calendar("second@group.calendar.google.com", calendar.owner)
    google.add_calendar("shared@group.calendar.google.com", calendar.owner, role="reader")
    google.lists.most_of_a_page = 1

    found = await account.calendars()

    assert await account.owner() == calendar.owner
    assert [(each.id, each.is_primary, each.is_writable) for each in found] == [
        (calendar.id, True, True),
        ("second@group.calendar.google.com", False, True),
    ]


# Channels


async def test_channels_are_opened_with_our_words_and_end_as_google_says(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount
) -> None:
    assert isinstance(account, PushingAccount)
    told: list[dict[str, str]] = []

    async def deliver(address: str, headers: dict[str, str]) -> int:
        told.append({"address": address, **headers})
        return 202

    google.channels.deliver = deliver
    google.channels.most_seconds = 3600
    wanted = a_channel()

    channel = await account.open_channel(calendar.id, wanted)
    google.enter(calendar, start=at(NINE), end=at(NINE + HOUR))
    await google.channels.quiet()
    await account.stop_channel(wanted.id, channel.external_id)
    await account.stop_channel(wanted.id, channel.external_id)

    assert abs(channel.expires_at - datetime.now(UTC) - HOUR) < timedelta(minutes=1)
    assert await account.renew_channel(channel, HOUR) is None
    assert [each["X-Goog-Resource-State"] for each in told] == ["sync", "exists"]
    for each in told:
        assert each["address"] == wanted.address
        assert each["X-Goog-Channel-ID"] == str(wanted.id)
        assert each["X-Goog-Channel-Token"] == wanted.secret
        assert each["X-Goog-Resource-ID"] == channel.external_id
    assert google.channels.open[str(wanted.id)].is_stopped


def a_channel(**changes: Any) -> ChannelRequest:
    fixed: dict[str, Any] = {
        "id": new_id(),
        "secret": "a-secret",
        "address": "https://clinic.example/v1/webhooks/calendar/google",
        "lasts": timedelta(days=7),
    }
    return ChannelRequest(**fixed | changes)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "push.webhookUrlNotHttps"),
        (401, "push.webhookUrlUnauthorized"),
        (403, "push.webhookUrlUnauthorized"),
        (400, "channelIdNotUnique"),
        (400, "pushInvalidTtl"),
    ],
)
async def test_google_may_refuse_to_tell(
    google: GoogleDouble, calendar: Calendar, account: GoogleAccount, status: int, reason: str
) -> None:
    google.faults.plan("POST", "/watch", GoogleSaysNo(status, reason), times=2)

    with pytest.raises(Refused, match="push_refused"):
        await account.open_channel(calendar.id, a_channel())


async def test_a_channel_for_a_calendar_that_has_gone_is_not_found(
    calendar: Calendar, account: GoogleAccount
) -> None:
    with pytest.raises(NotFound):
        await account.open_channel("no-such-calendar", a_channel())


def test_ids_are_of_googles_alphabet() -> None:
    ids = [id_ for _ in range(100) for id_ in ids_of(new_id())]

    assert len(set(ids)) == 200
    assert {len(id_) for id_ in ids} == {26}
    assert set("".join(ids)) <= set("0123456789abcdefghijklmnopqrstuv")


def test_what_is_written_is_json() -> None:
    body = json.loads(json.dumps(events.body_of(an_event())))
    assert strangers("Event", _without_nulls(body)) == []


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return value
