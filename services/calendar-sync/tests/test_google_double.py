"""The double of Google is what Google says it is: its official client finds no difference."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import google_auth_httplib2
import httplib2
import pytest
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from .google_double import GoogleDouble
from .google_double.discovery import strangers
from .google_double.refusals import GoogleSaysNo
from .google_double.server import CLIENT_ID, CLIENT_SECRET
from .google_double.store import Calendar

Call = Callable[..., Any]
ID = "0000000000000000000000000g"
NINE = {"dateTime": "2026-12-01T09:00:00+02:00", "timeZone": "Europe/Athens"}
TEN = {"dateTime": "2026-12-01T10:00:00+02:00", "timeZone": "Europe/Athens"}
DECEMBER = {"timeMin": "2026-12-01T00:00:00Z", "timeMax": "2027-01-01T00:00:00Z"}


@pytest.fixture
async def google() -> AsyncIterator[GoogleDouble]:
    async with GoogleDouble.running() as double:
        yield double
        wrong = [each for answer in double.answers for each in strangers(*answer)]
        assert wrong == []


@pytest.fixture
def calendar(google: GoogleDouble) -> Calendar:
    return google.an_account()


@pytest.fixture
async def official(google: GoogleDouble) -> AsyncIterator[Any]:
    """Google's own client; its calls block, so ``run`` makes them in a thread."""
    grant = google.sign_in()
    token = google.consents.new_token(grant, google.now)
    service = build(
        "calendar",
        "v3",
        credentials=Credentials(token),
        client_options={"api_endpoint": f"{google.api_url}/"},
        static_discovery=True,
        cache_discovery=False,
    )
    yield service
    service.close()


async def run(request: Any) -> Any:
    return await asyncio.to_thread(request.execute, num_retries=0)


async def refused(request: Any) -> tuple[int, str]:
    with pytest.raises(HttpError) as caught:
        await run(request)
    return caught.value.status_code, caught.value.error_details[0]["reason"]


async def test_events_are_entered_read_changed_and_deleted(
    official: Any, calendar: Calendar
) -> None:
    events = official.events()
    body = {"id": ID, "start": NINE, "end": TEN, "summary": "Visit"}

    made = await run(events.insert(calendarId="primary", body=body, sendUpdates="none"))
    got = await run(events.get(calendarId=calendar.id, eventId=ID))
    changed = await run(events.patch(calendarId="primary", eventId=ID, body={"location": "Here"}))
    replaced = await run(
        events.update(calendarId="primary", eventId=ID, body={"start": NINE, "end": TEN})
    )
    gone = await run(events.delete(calendarId="primary", eventId=ID))
    after = await run(events.get(calendarId="primary", eventId=ID))

    assert made["id"] == ID
    assert made["status"] == "confirmed"
    assert got == made
    assert (changed["summary"], changed["location"]) == ("Visit", "Here")
    assert "summary" not in replaced
    assert len({made["etag"], changed["etag"], replaced["etag"]}) == 3
    assert gone == ""
    assert after["status"] == "cancelled"


async def test_ids_stay_taken_and_what_is_deleted_comes_back(
    official: Any, calendar: Calendar
) -> None:
    events = official.events()
    body = {"id": ID, "start": NINE, "end": TEN}
    await run(events.insert(calendarId="primary", body=body))

    twice = await refused(events.insert(calendarId="primary", body=body))
    await run(events.delete(calendarId="primary", eventId=ID))
    deleted = await refused(events.insert(calendarId="primary", body=body))
    again = await refused(events.delete(calendarId="primary", eventId=ID))
    unknown = await refused(events.delete(calendarId="primary", eventId="unknown"))
    back = await run(events.patch(calendarId="primary", eventId=ID, body={"status": "confirmed"}))

    assert (twice, deleted) == ((409, "duplicate"), (409, "duplicate"))
    assert (again, unknown) == ((410, "deleted"), (404, "notFound"))
    assert back["status"] == "confirmed"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"id": "WXYZ!", "start": NINE, "end": TEN}, "invalid"),
        ({"id": "abcd", "start": NINE, "end": TEN}, "invalid"),
        ({"start": NINE}, "required"),
        ({"start": {"dateTime": "2026-12-01T09:00:00"}, "end": TEN}, "required"),
        ({"start": TEN, "end": NINE}, "timeRangeEmpty"),
        ({"start": {"date": "2026-12-01", "dateTime": "x"}, "end": TEN}, "invalid"),
    ],
)
async def test_bad_events_are_refused(
    official: Any, calendar: Calendar, body: dict[str, Any], reason: str
) -> None:
    assert await refused(official.events().insert(calendarId="primary", body=body)) == (400, reason)


async def test_etags_keep_changes_apart(official: Any, calendar: Calendar) -> None:
    events = official.events()
    made = await run(events.insert(calendarId="primary", body={"start": NINE, "end": TEN}))
    await run(events.patch(calendarId="primary", eventId=made["id"], body={"summary": "New"}))
    stale = events.patch(calendarId="primary", eventId=made["id"], body={"summary": "Old"})
    stale.headers["If-Match"] = made["etag"]
    late = events.delete(calendarId="primary", eventId=made["id"])
    late.headers["If-Match"] = made["etag"]
    fresh = await run(events.get(calendarId="primary", eventId=made["id"]))
    unchanged = events.get(calendarId="primary", eventId=made["id"])
    unchanged.headers["If-None-Match"] = fresh["etag"]

    with pytest.raises(HttpError) as not_modified:
        await run(unchanged)

    assert await refused(stale) == (412, "conditionNotMet")
    assert await refused(late) == (412, "conditionNotMet")
    assert not_modified.value.status_code == 304


async def pages(first: Any, following: Call) -> list[dict[str, Any]]:
    found, request = [], first
    while request is not None:
        answer = await run(request)
        found.append(answer)
        request = following(request, answer)
    return found


async def test_changes_are_read_by_pages_and_sync_tokens(
    google: GoogleDouble, official: Any, calendar: Calendar
) -> None:
    events = official.events()
    ids = [google.enter(calendar, start=NINE, end=TEN)["id"] for _ in range(5)]
    google.lists.has_empty_pages = True

    full = await pages(
        events.list(calendarId="primary", singleEvents=True, maxResults=2, **DECEMBER),
        events.list_next,
    )
    token = full[-1]["nextSyncToken"]
    google.remove(calendar, ids[0])
    google.edit(calendar, ids[1], summary="Changed")
    since = await pages(
        events.list(calendarId="primary", singleEvents=True, maxResults=1, syncToken=token),
        events.list_next,
    )

    assert [len(page["items"]) for page in full] == [0, 2, 2, 1]
    assert ["nextSyncToken" in page for page in full] == [False, False, False, True]
    changed = [item for page in since for item in page["items"]]
    assert {item["id"]: item["status"] for item in changed} == {
        ids[0]: "cancelled",
        ids[1]: "confirmed",
    }
    assert "start" not in next(item for item in changed if item["id"] == ids[0])


async def test_sync_tokens_end_and_refuse_what_google_refuses(
    google: GoogleDouble, official: Any, calendar: Calendar
) -> None:
    events = official.events()
    asked = {"calendarId": "primary", "singleEvents": True}
    token = (await run(events.list(**asked)))["nextSyncToken"]
    wrong = [
        {"timeMin": DECEMBER["timeMin"]},
        {"timeMax": DECEMBER["timeMax"]},
        {"orderBy": "updated"},
        {"q": "x"},
        {"iCalUID": "x"},
        {"updatedMin": DECEMBER["timeMin"]},
        {"privateExtendedProperty": "a=b"},
        {"showDeleted": False},
    ]

    refusals = [await refused(events.list(**asked, syncToken=token, **each)) for each in wrong]
    other = await refused(events.list(calendarId="primary", syncToken=token))
    google.forget_sync_tokens(calendar)
    dead = await refused(events.list(**asked, syncToken=token))

    assert refusals == [(400, "invalid")] * len(wrong)
    assert other == (400, "invalid")
    assert dead == (410, "fullSyncRequired")


async def test_a_series_keeps_its_local_time_when_clocks_change(
    google: GoogleDouble, official: Any, calendar: Calendar
) -> None:
    events = official.events()
    # Athens leaves summer time on 25 October 2026.
    series = google.enter(
        calendar,
        start={"dateTime": "2026-10-23T09:00:00+03:00", "timeZone": "Europe/Athens"},
        end={"dateTime": "2026-10-23T10:00:00+03:00", "timeZone": "Europe/Athens"},
        recurrence=["RRULE:FREQ=DAILY;COUNT=4"],
    )
    first = await run(events.list(calendarId="primary", singleEvents=True))
    moved, cancelled = first["items"][1]["id"], first["items"][2]["id"]
    google.edit(
        calendar,
        moved,
        start={"dateTime": "2026-10-24T15:00:00+03:00"},
        end={"dateTime": "2026-10-24T16:00:00+03:00"},
    )
    google.remove(calendar, cancelled)

    full = await run(events.list(calendarId="primary", singleEvents=True))
    since = await run(
        events.list(calendarId="primary", singleEvents=True, syncToken=first["nextSyncToken"])
    )
    google.remove(calendar, series["id"])
    gone = await run(
        events.list(calendarId="primary", singleEvents=True, syncToken=since["nextSyncToken"])
    )

    starts = [item["start"]["dateTime"] for item in first["items"]]
    assert starts == [
        "2026-10-23T09:00:00+03:00",
        "2026-10-24T09:00:00+03:00",
        "2026-10-25T09:00:00+02:00",
        "2026-10-26T09:00:00+02:00",
    ]
    assert {item["id"] for item in full["items"]} == {
        item["id"] for item in first["items"] if item["id"] != cancelled
    }
    assert {(item["id"], item["status"]) for item in since["items"]} == {
        (moved, "confirmed"),
        (cancelled, "cancelled"),
    }
    assert {item["originalStartTime"]["dateTime"] for item in since["items"]} == set(starts[1:3])
    assert {item["status"] for item in gone["items"]} == {"cancelled"}
    assert len(gone["items"]) >= 3


async def test_calendars_are_listed_with_roles(
    google: GoogleDouble, official: Any, calendar: Calendar
) -> None:
    google.add_calendar("shared@group.calendar.google.com", calendar.owner, role="reader")

    every = await run(official.calendarList().list())
    owned = await run(official.calendarList().list(minAccessRole="owner"))
    main = await run(official.calendarList().get(calendarId="primary"))

    assert [item["accessRole"] for item in every["items"]] == ["owner", "reader"]
    assert [item["id"] for item in owned["items"]] == [calendar.id]
    assert main["primary"] is True


async def test_channels_are_opened_told_through_and_stopped(
    google: GoogleDouble, official: Any, calendar: Calendar
) -> None:
    told: list[dict[str, str]] = []

    async def deliver(address: str, headers: dict[str, str]) -> int:
        told.append(headers)
        return 202

    google.channels.deliver = deliver
    google.channels.allows_http = False
    body = {"id": "one", "type": "web_hook", "address": "https://x.test/hook", "token": "secret"}
    events = official.events()

    opened = await run(events.watch(calendarId="primary", body=body))
    google.enter(calendar, start=NINE, end=TEN)
    await google.channels.quiet()
    again = await refused(events.watch(calendarId="primary", body=body))
    plain = body | {"id": "two", "address": "http://x.test/hook"}
    no_https = await refused(events.watch(calendarId="primary", body=plain))
    past = body | {"id": "three", "expiration": 1_700_000_000}
    too_short = await refused(events.watch(calendarId="primary", body=past))
    stop = {"id": "one", "resourceId": opened["resourceId"]}
    await run(official.channels().stop(body=stop))
    google.enter(calendar, start=NINE, end=TEN)
    await google.channels.quiet()
    stopped_twice = await refused(official.channels().stop(body=stop))

    assert [each["X-Goog-Resource-State"] for each in told] == ["sync", "exists"]
    assert {each["X-Goog-Channel-Token"] for each in told} == {"secret"}
    assert told[0]["X-Goog-Message-Number"] == "1"
    assert again == (400, "channelIdNotUnique")
    assert no_https == (400, "push.webhookUrlNotHttps")
    assert too_short == (400, "pushInvalidTtl")
    assert stopped_twice == (404, "notFound")


async def test_googles_own_library_renews_tokens_until_the_owner_objects(
    google: GoogleDouble, calendar: Calendar
) -> None:
    grant = google.sign_in()
    credentials = Credentials(
        None,
        refresh_token=grant.refresh_token,
        token_uri=f"{google.url}/token",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
    )
    http = httplib2.Http()
    transport = google_auth_httplib2.Request(http)

    await asyncio.to_thread(credentials.refresh, transport)
    is_valid, token = credentials.valid, credentials.token
    google.consents.revoke(calendar.owner)
    with pytest.raises(RefreshError, match="invalid_grant"):
        await asyncio.to_thread(credentials.refresh, transport)
    http.close()

    assert is_valid
    assert token in grant.access_tokens
    assert credentials.refresh_token == grant.refresh_token


async def test_tokens_end_and_faults_come_when_planned(
    google: GoogleDouble, official: Any, calendar: Calendar
) -> None:
    wanted = official.calendarList().list()
    google.faults.plan("GET", "calendarList", GoogleSaysNo(403, "rateLimitExceeded"))

    limited = await refused(wanted)
    well = await run(wanted)
    google.ahead = timedelta(hours=2)
    with pytest.raises(Exception, match="refresh") as ended:
        await run(wanted)

    assert limited == (403, "rateLimitExceeded")
    assert len(well["items"]) == 1
    assert "credentials" in str(ended.value)
