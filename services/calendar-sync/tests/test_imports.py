"""Calendar files that providers import: what they block, what is said of the rest."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from calendar_sync.schemas.imports import MOST_BYTES
from calendar_sync.use_cases.import_calendar import MOST_IMPORTS
from shared.db import Database
from shared.events.calendar import CalendarImportDeleted, CalendarImported
from shared.events.provider import ProviderDeleted, ProviderUpdated
from shared.http import AsyncClient, Response
from shared.ids import new_id

from .conftest import PROVIDER

AsUser = Callable[[str, UUID], dict[str, str]]
Headers = dict[str, str]
Post = Callable[..., Awaitable[Response]]
Tell = Callable[..., Awaitable[None]]

PATH = f"/v1/providers/{PROVIDER}/calendar-import"
ATHENS = ZoneInfo("Europe/Athens")
TODAY = datetime.now(UTC).date()
HOUR = timedelta(hours=1)


def on(days: int, hour: int = 9) -> datetime:
    """In UTC, so many days from today."""
    return datetime(TODAY.year, TODAY.month, TODAY.day, hour, tzinfo=UTC) + timedelta(days=days)


def utc(instant: datetime) -> str:
    return f"{instant:%Y%m%dT%H%M%SZ}"


def an_event(uid: str, start: datetime, *lines: str, hours: int = 1) -> str:
    return "\n".join(
        (f"UID:{uid}", f"DTSTART:{utc(start)}", f"DTEND:{utc(start + hours * HOUR)}", *lines)
    )


def a_file(*events: str, zones: str = "") -> str:
    whole = "".join(f"BEGIN:VEVENT\n{event}\nEND:VEVENT\n" for event in events)
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Test//EN\n{zones}{whole}END:VCALENDAR\n"
    return text.replace("\n", "\r\n")


@pytest.fixture
async def post(
    client: AsyncClient, tell: Tell, the_provider: ProviderUpdated, provider: Headers
) -> Post:
    """Imports a file; the provider whom it is for is known, and in Athens."""
    await tell(the_provider)

    async def post(file: str, name: str = "Old calendar", **headers: str) -> Response:
        body = {"name": name, "file": file}
        return await client.post(PATH, headers=provider | headers, json=body)

    return post


async def accepted(answer: Awaitable[Response]) -> Any:
    response = await answer
    assert response.status_code == 202, response.text
    return response.json()


async def told(database: Database) -> list[Any]:
    """The data of all events about imports."""
    async with database.reading() as db:
        rows = await db.fetch(
            "SELECT type, data FROM outbox WHERE type = ANY ($1) ORDER BY position",
            [CalendarImported.type, CalendarImportDeleted.type],
        )
    kinds = {each.type: each for each in (CalendarImported, CalendarImportDeleted)}
    return [kinds[row["type"]].model_validate(row["data"]) for row in rows]


async def blocked(database: Database) -> list[tuple[datetime, datetime]]:
    """The times of the last event."""
    return [(each.start, each.end) for each in (await told(database))[-1].blocked]


async def test_events_become_blocked_times(post: Post, database: Database) -> None:
    file = a_file(an_event("a", on(3), "SUMMARY:Secret"), an_event("b", on(1)))

    made = await accepted(post(file))

    assert await blocked(database) == [(on(1), on(1) + HOUR), (on(3), on(3) + HOUR)]
    [event] = await told(database)
    assert (str(event.id), event.version, event.provider_id) == (made["id"], 1, PROVIDER)
    assert "Secret" not in event.model_dump_json()
    assert made["name"] == "Old calendar"
    assert made["importedBy"] == str(PROVIDER)
    assert (made["eventCount"], made["importedEventCount"], made["blockedTimeCount"]) == (2, 2, 2)
    assert (made["skipped"], made["unknownZones"]) == ([], [])


async def test_times_that_overlap_or_touch_are_one(post: Post, database: Database) -> None:
    file = a_file(
        an_event("a", on(1, 9), hours=2), an_event("b", on(1, 10)), an_event("c", on(1, 11))
    )

    made = await accepted(post(file))

    assert await blocked(database) == [(on(1, 9), on(1, 12))]
    assert (made["importedEventCount"], made["blockedTimeCount"]) == (3, 1)


async def test_recurrences_with_their_exceptions(post: Post, database: Database) -> None:
    series = an_event(
        "series",
        on(1),
        "RRULE:FREQ=DAILY;COUNT=4",
        f"EXDATE:{utc(on(2))}",
        f"RDATE:{utc(on(10))}",
    )
    moved = an_event("series", on(3, 15), f"RECURRENCE-ID:{utc(on(3))}")
    cancelled = an_event("series", on(4), f"RECURRENCE-ID:{utc(on(4))}", "STATUS:CANCELLED")

    made = await accepted(post(a_file(series, moved, cancelled)))

    assert [start for start, _ in await blocked(database)] == [on(1), on(3, 15), on(10)]
    assert made["eventCount"] == 1


async def test_a_day_is_one_of_the_providers_zone(post: Post, database: Database) -> None:
    day = TODAY + timedelta(days=5)

    await accepted(post(a_file(f"UID:a\nDTSTART;VALUE=DATE:{day:%Y%m%d}")))

    midnight, next_midnight = (
        datetime(each.year, each.month, each.day, tzinfo=ATHENS)
        for each in (day, day + timedelta(days=1))
    )
    assert await blocked(database) == [(midnight, next_midnight)]


@pytest.mark.parametrize("zone", ["", ";TZID=Mars/Base", ";TZID=../../etc/passwd"])
async def test_times_of_no_zone_or_an_unknown_one_are_the_providers(
    post: Post, database: Database, zone: str
) -> None:
    day = TODAY + timedelta(days=5)
    lines = (f"{name}{zone}:{day:%Y%m%d}T{at}" for name, at in _NINE_TO_TEN)

    made = await accepted(post(a_file("\n".join(("UID:a", *lines)))))

    assert await blocked(database) == [(_local(day, 9, ATHENS), _local(day, 10, ATHENS))]
    name = zone.removeprefix(";TZID=")
    assert made["unknownZones"] == ([{"zone": name, "line": 6}] if name else [])


async def test_windows_zones_and_zones_of_the_file_are_known(
    post: Post, database: Database
) -> None:
    day = TODAY + timedelta(days=5)
    fixed = (
        "BEGIN:VTIMEZONE\nTZID:Ours\nBEGIN:STANDARD\nDTSTART:19700101T000000\n"
        "TZOFFSETFROM:+0530\nTZOFFSETTO:+0530\nEND:STANDARD\nEND:VTIMEZONE\n"
    )
    events = [
        "\n".join(
            (f"UID:{zone}", *(f"{n};TZID={zone}:{day:%Y%m%d}T{at}" for n, at in _NINE_TO_TEN))
        )
        for zone in ("W. Europe Standard Time", "Ours")
    ]

    made = await accepted(post(a_file(*events, zones=fixed)))

    assert made["unknownZones"] == []
    assert [start for start, _ in await blocked(database)] == sorted(
        [
            _local(day, 9, ZoneInfo("Europe/Berlin")),
            datetime(day.year, day.month, day.day, 3, 30, tzinfo=UTC),
        ]
    )


async def test_what_blocks_nothing_is_skipped_with_its_reason(
    post: Post, database: Database
) -> None:
    file = a_file(
        an_event("ok", on(1)),
        an_event("cancelled", on(2), "STATUS:CANCELLED"),
        an_event("free", on(3), "TRANSP:TRANSPARENT"),
        an_event("past", on(-30)),
        an_event("far", on(900)),
        an_event("ours@clinic.example", on(4)),
        an_event("point", on(5), hours=0),
        "UID:no-start\nSUMMARY:When?",
        f"UID:wild\nDTSTART:{utc(on(1))}\nRRULE:FREQ=SECONDLY",
    )

    made = await accepted(post(file))

    lines = {line: number for number, line in enumerate(file.splitlines(), start=1)}
    assert await blocked(database) == [(on(1), on(1) + HOUR)]
    assert {each["reason"]: (each["count"], each["lines"]) for each in made["skipped"]} == {
        "outside_of_time": (2, [lines["UID:past"] - 1, lines["UID:far"] - 1]),
        "cancelled": (1, [lines["UID:cancelled"] - 1]),
        "free": (1, [lines["UID:free"] - 1]),
        "ours": (1, [lines["UID:ours@clinic.example"] - 1]),
        "without_length": (1, [lines["UID:point"] - 1]),
        "no_start": (1, [lines["UID:no-start"] - 1]),
        "too_many_occurrences": (1, [lines["UID:wild"] - 1]),
    }
    assert (made["eventCount"], made["importedEventCount"]) == (9, 1)


async def test_the_same_file_again_changes_nothing(post: Post, database: Database) -> None:
    file = a_file(an_event("a", on(1)))

    first, second = await accepted(post(file)), await accepted(post(file))

    assert first == second
    assert len(await told(database)) == 1


async def test_a_changed_file_replaces_what_the_earlier_one_blocked(
    client: AsyncClient, post: Post, database: Database, provider: Headers
) -> None:
    first = await accepted(post(a_file(an_event("a", on(1)))))

    second = await accepted(post(a_file(an_event("a", on(2)))))

    assert second["id"] == first["id"]
    assert [each.version for each in await told(database)] == [1, 2]
    assert await blocked(database) == [(on(2), on(2) + HOUR)]
    assert (await client.get(PATH, headers=provider)).json() == {"items": [second]}


async def test_a_file_that_blocks_the_same_is_told_once(post: Post, database: Database) -> None:
    await accepted(post(a_file(an_event("a", on(1)))))

    again = await accepted(post(a_file(an_event("a", on(1)), an_event("b", on(1)))))
    other = await accepted(post(a_file(an_event("a", on(2)))))

    assert (again["eventCount"], other["eventCount"]) == (2, 1)
    assert [each.version for each in await told(database)] == [1, 2]


async def test_files_of_other_names_stand_beside_each_other(
    client: AsyncClient, post: Post, provider: Headers
) -> None:
    one = await accepted(post(a_file(an_event("a", on(1))), "One"))
    two = await accepted(post(a_file(an_event("a", on(2))), "Two"))

    assert (await client.get(PATH, headers=provider)).json() == {"items": [one, two]}
    assert (await client.get(f"{PATH}/{two['id']}", headers=provider)).json() == two


async def test_an_import_is_taken_back_once(
    client: AsyncClient, post: Post, database: Database, provider: Headers
) -> None:
    file = a_file(an_event("a", on(1)))
    made = await accepted(post(file))

    answers = [await client.delete(f"{PATH}/{made['id']}", headers=provider) for _ in range(2)]

    assert [each.status_code for each in answers] == [204, 204]
    assert [type(each) for each in await told(database)] == [
        CalendarImported,
        CalendarImportDeleted,
    ]
    assert [each.version for each in await told(database)] == [1, 2]
    assert (await client.get(PATH, headers=provider)).json() == {"items": []}
    assert (await client.get(f"{PATH}/{made['id']}", headers=provider)).status_code == 404
    anew = await accepted(post(file))
    assert anew["id"] != made["id"]


async def test_a_repeated_request_has_one_effect_and_one_answer(
    post: Post, tell: Tell, database: Database
) -> None:
    key = {"Idempotency-Key": "the same intent"}
    file = a_file(an_event("a", on(1)))

    first = await post(file, **key)
    await accepted(post(a_file(an_event("a", on(2)))))
    await tell(ProviderDeleted(id=PROVIDER, version=9))
    second = await post(file, **key)
    other = await post(a_file(an_event("a", on(3))), **key)

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.content == second.content
    assert first.headers["location"] == f"{PATH}/{first.json()['id']}"
    assert second.headers["idempotent-replayed"] == "true"
    assert other.json()["code"] == "idempotency_key_reused"
    assert len(await told(database)) == 2


async def test_many_at_once_make_one_import_of_a_name(
    client: AsyncClient, post: Post, database: Database, provider: Headers
) -> None:
    file = a_file(an_event("a", on(1)))

    answers = await asyncio.gather(*(post(file, **{"Idempotency-Key": "k"}) for _ in range(20)))

    assert {each.status_code for each in answers} <= {202, 409, 503}
    assert 202 in {each.status_code for each in answers}
    assert len((await client.get(PATH, headers=provider)).json()["items"]) == 1
    assert len(await told(database)) == 1


async def test_a_provider_has_so_many_imports(
    client: AsyncClient, post: Post, provider: Headers
) -> None:
    file = a_file(an_event("a", on(1)))
    made = [await accepted(post(file, f"Calendar {number}")) for number in range(MOST_IMPORTS)]

    refused = await post(file, "One more")
    changed = await post(a_file(an_event("a", on(2))), "Calendar 0")
    await client.delete(f"{PATH}/{made[0]['id']}", headers=provider)

    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_calendar_imports")
    assert changed.status_code == 202
    assert (await post(file, "One more")).status_code == 202


async def test_for_strangers_there_is_nothing(
    client: AsyncClient, post: Post, database: Database, as_user: AsUser
) -> None:
    file = a_file(an_event("a", on(1)))
    made = await accepted(post(file))
    strangers = [as_user("provider", new_id()), as_user("patient", PROVIDER)]

    answers = [
        answer
        for headers in strangers
        for answer in (
            await client.get(PATH, headers=headers),
            await client.get(f"{PATH}/{made['id']}", headers=headers),
            await client.post(PATH, headers=headers, json={"name": "x", "file": file}),
            await client.delete(f"{PATH}/{made['id']}", headers=headers),
        )
    ]

    assert {(each.status_code, each.json()["code"]) for each in answers} == {
        (404, "provider_not_found")
    }
    assert len(await told(database)) == 1
    assert (await client.get(PATH)).status_code == 401


async def test_nobody_reaches_the_import_of_another_provider(
    client: AsyncClient, post: Post, tell: Tell, the_provider: ProviderUpdated, as_user: AsUser
) -> None:
    other = new_id()
    await tell(the_provider.model_copy(update={"id": other}))
    made = await accepted(post(a_file(an_event("a", on(1)))))
    path = f"/v1/providers/{other}/calendar-import/{made['id']}"

    answers = [
        await client.get(path, headers=as_user("provider", other)),
        await client.delete(path, headers=as_user("provider", other)),
    ]

    assert [each.json()["code"] for each in answers] == ["calendar_import_not_found"] * 2


async def test_a_provider_who_is_gone_imports_nothing(
    post: Post, tell: Tell, database: Database
) -> None:
    await tell(ProviderDeleted(id=PROVIDER, version=9))

    answer = await post(a_file(an_event("a", on(1))))

    assert answer.json()["code"] == "provider_not_found"
    assert await told(database) == []


BROKEN = {
    "empty": ("", "NO_EVENTS", 1),
    "html": ("<html>\n</html>", "NOT_A_CALENDAR", 1),
    "another object": ("BEGIN:VCARD\nEND:VCARD\n", "NOT_A_CALENDAR", 1),
    "no events": ("BEGIN:VCALENDAR\nEND:VCALENDAR\n", "NO_EVENTS", 2),
    "cut off": (a_file(an_event("a", on(1)))[:-15], "CUT_OFF", 8),
    "crossed": (
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nBEGIN:VALARM\nEND:VEVENT\nEND:VALARM\nEND:VCALENDAR",
        "NOT_BALANCED",
        4,
    ),
    "ends twice": (a_file(an_event("a", on(1))) + "END:VCALENDAR\n", "NOT_BALANCED", 10),
    "something behind": (a_file(an_event("a", on(1))) + "X\n", "NOT_A_CALENDAR", 10),
    "too many events": (
        a_file(*(f"UID:{n}\nDTSTART:20200101T000000Z" for n in range(5001))),
        "TOO_MANY_EVENTS",
        4 + 4 * 5000,
    ),
    "too many times": (
        a_file(an_event("a", on(1), "RRULE:FREQ=HOURLY;INTERVAL=2")),
        "TOO_MANY_TIMES",
        None,
    ),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_file_that_is_wrong_as_a_whole_is_refused(
    client: AsyncClient, post: Post, database: Database, provider: Headers, case: str
) -> None:
    file, code, line = BROKEN[case]

    answer = await post(file)

    assert (answer.status_code, answer.json()["code"]) == (422, "calendar_file_refused")
    [error] = answer.json()["errors"]
    assert (error["path"], error["code"]) == ("file", code)
    assert answer.json().get("line") == line
    assert (await client.get(PATH, headers=provider)).json() == {"items": []}
    assert await told(database) == []


HOSTILE = {
    "endless": an_event("x", on(1), "RRULE:FREQ=DAILY"),
    "every second": an_event("x", on(1), "RRULE:FREQ=SECONDLY"),
    "never": an_event("x", on(1), "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"),
    "interval 0": an_event("x", on(1), "RRULE:FREQ=DAILY;INTERVAL=0"),
    "year 1": "UID:x\nDTSTART:00010101T000000Z\nRRULE:FREQ=DAILY",
    "year 9999": "UID:x\nDTSTART:99991231T235959Z\nDURATION:P9999W",
    "nested": "UID:x\n" + "BEGIN:VEVENT\n" * 5000 + "END:VEVENT\n" * 4999 + "END:VEVENT",
    "huge line": an_event("x", on(1), "DESCRIPTION:" + "x" * 400_000),
    "folds": an_event("x", on(1), "DESCRIPTION:" + "\n x" * 60_000),
    "huge uid": an_event("u" * 300_000, on(1)),
    "many dates": an_event("x", on(1), "RDATE:" + ",".join([utc(on(2))] * 9000)),
    "bad date": "UID:x\nDTSTART:20269999T990000Z",
    "backwards": f"UID:x\nDTSTART:{utc(on(2))}\nDTEND:{utc(on(1))}",
    "separators": an_event("x", on(1), "SUMMARY:a\u2028b\x0bc\x85d"),
    "no uid": f"DTSTART:{utc(on(1))}\nDTEND:{utc(on(1) + HOUR)}",
    "zone names": "UID:x\nDTSTART;TZID=" + "Z" * 5000 + ":20260101T000000",
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_whatever_one_event_says_the_others_are_imported(
    post: Post, database: Database, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine gives an event its two seconds of processor time only little by little.
    monkeypatch.setattr("calendar_sync.importing._SECONDS", 90.0)
    made = await accepted(post(a_file(an_event("good", on(20, 3)), HOSTILE[case])))

    assert any(start <= on(20, 3) and on(20, 4) <= end for start, end in await blocked(database))
    assert made["importedEventCount"] + sum(each["count"] for each in made["skipped"]) == 2


async def test_a_file_may_have_a_megabyte_and_no_byte_more(post: Post, database: Database) -> None:
    file = a_file(an_event("a", on(1)))
    room = MOST_BYTES - len(file)
    filling = "X-FILL:" + "é" * ((room - 9) // 2) + "\r\n"
    full = file.replace("PRODID", filling + "PRODID")
    full = full.replace("X-FILL:", "X-FILL:" + "x" * (MOST_BYTES - len(full.encode())))

    fits = await post(full)
    too_long = await post(full.replace("X-FILL:", "X-FILL:x"))

    assert len(full.encode()) == MOST_BYTES
    assert fits.status_code == 202, fits.text
    assert too_long.status_code == 422
    assert [(each["path"], each["code"]) for each in too_long.json()["errors"]] == [
        ("file", "TOO_LONG")
    ]


async def test_a_wrong_body_imports_nothing(
    client: AsyncClient, post: Post, database: Database, provider: Headers
) -> None:
    file = a_file(an_event("a", on(1)))
    wrong: list[tuple[Any, int, str]] = [
        ({"file": file}, 422, "name"),
        ({"name": "x"}, 422, "file"),
        ({"name": "", "file": file}, 422, "name"),
        ({"name": "x", "file": 7}, 422, "file"),
        ({"name": "x", "file": file, "providerId": str(new_id())}, 422, "providerId"),
        ({"name": "x", "file": file + "\0"}, 400, "file"),
    ]

    answers = [await client.post(PATH, headers=provider, json=body) for body, _, _ in wrong]
    as_text = await client.post(
        PATH, headers=provider | {"Content-Type": "text/calendar"}, content=file
    )

    for answer, (_, status, field) in zip(answers, wrong, strict=True):
        assert answer.status_code == status, answer.text
        assert answer.json()["errors"][0]["path"] == field
    assert as_text.json()["code"] == "unsupported_media_type"
    assert await told(database) == []


_NINE_TO_TEN = (("DTSTART", "090000"), ("DTEND", "100000"))


def _local(day: date, hour: int, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=zone).astimezone(UTC)
