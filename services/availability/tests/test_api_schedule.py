"""The schedule form over HTTP: options, saved rules, preview and saving."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from availability.domain.schedule import ExceptionKind
from availability.use_cases.exceptions import NewException, add_exception
from availability.use_cases.locations import NewRoom
from shared.db import Database
from shared.http import AsyncClient, Response

from .builders import DAY, Practice, a_booking, a_practice, in_days, receive
from .conftest import As

MONDAY, SUNDAY = "2031-03-24", "2031-03-30"


def a_window(start: str = "09:00", end: str = "12:00", **more: Any) -> dict[str, Any]:
    return {"workStartLocal": start, "workEndLocal": end, "slotIntervalMinutes": 30} | more


def a_day(weekday: int, *windows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"dayOfWeek": weekday, "enabled": True, "windows": list(windows)} | more


def closed(weekday: int) -> dict[str, Any]:
    return a_day(weekday, enabled=False)


def a_form(*days: dict[str, Any], scope: dict[str, Any] | None = None, **more: Any) -> Any:
    return {"scope": {"timezone": "UTC"} | (scope or {}), "days": list(days)} | more


def a_break(start: str, end: str, **more: Any) -> dict[str, Any]:
    return {"breakStartLocal": start, "breakEndLocal": end} | more


def codes(answer: Response) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    assert answer.json()["ok"] is False
    return [(each["path"], each["code"]) for each in answer.json()["errors"]]


class Form:
    """The form of one practice, used by its provider."""

    def __init__(self, api: AsyncClient, as_user: As, practice: Practice) -> None:
        self.api, self.path = api, f"/v1/providers/{practice.provider_id}/schedule"
        self.own = as_user("provider", practice.provider_id)

    async def save(self, body: Any, **headers: str) -> Response:
        path = f"{self.path}/rules/bulk_upsert"
        return await self.api.post(path, json=body, headers=self.own | headers)

    async def preview(self, body: Any, **headers: str) -> Response:
        return await self.api.post(f"{self.path}/preview", json=body, headers=self.own | headers)

    async def saved(self, query: str = "") -> Any:
        answer = await self.api.get(f"{self.path}/rules{query}", headers=self.own)
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    async def hours(self, query: str = "") -> dict[int, list[str]]:
        """The windows by day, whatever their scope."""
        found: dict[int, list[str]] = {}
        for form in await self.saved(query):
            for day in form["days"]:
                for each in day["windows"]:
                    text = f"{each['workStartLocal']}-{each['workEndLocal']}"
                    found.setdefault(day["dayOfWeek"], []).append(text)
        return found


@pytest.fixture
async def practice(database: Database) -> Practice:
    """Without hours yet."""
    return await a_practice(database, weekdays=())


@pytest.fixture
def form(api: AsyncClient, as_user: As, practice: Practice) -> Form:
    return Form(api, as_user, practice)


async def count_rules(database: Database) -> int:
    async with database.reading() as db:
        count: int = await db.fetchval("SELECT count(*) FROM schedule_rules")
        return count


async def test_the_selects_offer_what_is_in_use(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")], timezone="Europe/Athens")
    form = Form(api, as_user, practice)

    answer = await api.get(f"{form.path}/refdata", headers=form.own)

    found = answer.json()
    assert [each["id"] for each in found["appointmentTypes"]] == [str(practice.service_id)]
    assert found["appointmentTypes"][0]["consultationMode"] == "in_person"
    assert [each["id"] for each in found["locations"]] == [str(practice.location_id)]
    assert found["rooms"] == [
        {
            "id": str(practice.room_ids[0]),
            "locationId": str(practice.location_id),
            "name": "1",
            "isVirtual": False,
        }
    ]
    assert found["slotIntervalMinutes"] == [5, 10, 15, 20, 30, 60]
    assert found["consultationModes"] == ["in_person", "video", "phone"]
    assert found["timezoneDefault"] == "Europe/Athens"


async def test_what_is_saved_comes_back_as_the_form_that_saves_it_again(form: Form) -> None:
    window = a_window(
        "09:00",
        "24:00",
        priority=2,
        effectiveFrom="2031-01-01",
        effectiveTo=None,
        breaks=[a_break("13:00", "14:00", label="Lunch"), a_break("20:00", "20:15", label=None)],
    )
    body = a_form(a_day(1, window), a_day(5, a_window()), replaceMode="replace_selected_days")

    answer = await form.save(body)

    assert answer.json() == {"ok": True, "insertedRules": 2, "deletedRules": 0}
    [found] = await form.saved()
    assert found["scope"] == {
        "appointmentTypeId": None,
        "doctorLocationId": None,
        "locationRoomId": None,
        "consultationMode": None,
        "timezone": "UTC",
    }
    assert [day["enabled"] for day in found["days"]] == [True, *[False] * 3, True, False, False]
    assert found["days"][0]["windows"] == [window]
    again = await form.save(found | {"replaceMode": "replace_selected_days"})
    assert again.json() == {"ok": True, "insertedRules": 2, "deletedRules": 2}
    assert await form.saved() == [found]


async def test_saved_hours_are_offered(api: AsyncClient, form: Form, practice: Practice) -> None:
    wanted = in_days(3)

    await form.save(a_form(a_day(wanted.isoweekday(), a_window("09:00", "10:00"))))

    listed = await api.get(f"{practice.path()}&date={wanted:%Y-%m-%d}")
    assert [each["start"][11:16] for each in listed.json()["timeslots"]] == ["09:00", "09:30"]


async def test_replacing_is_about_the_listed_days_and_a_listed_day_that_is_off_is_cleared(
    form: Form,
) -> None:
    await form.save(a_form(a_day(1, a_window()), a_day(2, a_window()), a_day(3, a_window())))

    answer = await form.save(a_form(a_day(1, a_window("14:00", "18:00")), closed(2)))

    assert answer.json() == {"ok": True, "insertedRules": 1, "deletedRules": 2}
    assert await form.hours() == {1: ["14:00-18:00"], 3: ["09:00-12:00"]}


async def test_appending_takes_nothing_away(form: Form) -> None:
    await form.save(a_form(a_day(1, a_window()), a_day(2, a_window())))

    answer = await form.save(
        a_form(a_day(1, a_window("14:00", "18:00")), closed(2), replaceMode="append")
    )

    assert answer.json() == {"ok": True, "insertedRules": 1, "deletedRules": 0}
    assert await form.hours() == {1: ["09:00-12:00", "14:00-18:00"], 2: ["09:00-12:00"]}


async def test_a_scope_replaces_only_what_is_exactly_its_own(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    practice = await a_practice(database, rooms=[NewRoom(name="1")], weekdays=())
    form = Form(api, as_user, practice)
    scopes: list[dict[str, Any]] = [
        {},
        {"appointmentTypeId": str(practice.service_id)},
        {"doctorLocationId": str(practice.location_id)},
        {"locationRoomId": str(practice.room_ids[0])},
        {"consultationMode": "in_person"},
        {"timezone": "Europe/Athens"},
        {"doctorLocationId": str(practice.location_id), "consultationMode": "in_person"},
    ]
    for scope in scopes:
        await form.save(a_form(a_day(1, a_window()), scope=scope))

    for number, scope in enumerate(scopes):
        answer = await form.save(a_form(a_day(1, a_window("10:00", "11:00")), scope=scope))
        assert answer.json() == {"ok": True, "insertedRules": 1, "deletedRules": 1}, scope
        windows = (await form.hours())[1]
        assert windows.count("10:00-11:00") == number + 1

    assert len(await form.saved()) == len(scopes)
    assert len(await form.saved("?consultationMode=in_person")) == 2
    assert len(await form.saved("?consultationMode=null&timezone=UTC")) == 4
    assert (
        len(await form.saved(f"?doctorLocationId={practice.location_id}&consultationMode=null"))
        == 1
    )


async def test_two_savings_at_once_never_mix(database: Database, form: Form) -> None:
    def version(hour: int) -> Any:
        windows = [
            a_window(f"{hour:02}:{minute:02}", f"{hour:02}:{minute + 5:02}")
            for minute in (0, 10, 20)
        ]
        return a_form(*[a_day(day, *windows) for day in range(1, 8)])

    answers = await asyncio.gather(*[form.save(version(hour)) for hour in range(12)])

    assert [answer.status_code for answer in answers] == [200] * 12
    assert await count_rules(database) == 21
    hours = {each[:2] for windows in (await form.hours()).values() for each in windows}
    assert len(hours) == 1
    deleted = sorted(answer.json()["deletedRules"] for answer in answers)
    assert deleted == [0, *[21] * 11]


async def test_who_has_seen_an_older_schedule_may_ask_to_be_refused(
    database: Database, form: Form
) -> None:
    seen = await form.api.get(f"{form.path}/rules", headers=form.own)
    etag = seen.headers["etag"]

    first = await form.save(a_form(a_day(1, a_window())), **{"If-Match": etag})
    late = await form.save(a_form(a_day(1, a_window("10:00"))), **{"If-Match": etag})
    current = await form.save(
        a_form(a_day(1, a_window("11:00"))), **{"If-Match": first.headers["etag"]}
    )

    assert (first.status_code, late.status_code, current.status_code) == (200, 412, 200)
    assert late.json()["code"] == "stale"
    assert await form.hours() == {1: ["11:00-12:00"]}
    now = await form.api.get(f"{form.path}/rules", headers=form.own)
    assert now.headers["etag"] == current.headers["etag"] != first.headers["etag"]


async def test_the_same_key_saves_once(database: Database, form: Form) -> None:
    body = a_form(a_day(1, a_window()), replaceMode="append")

    first = await form.save(body, **{"Idempotency-Key": "form-1"})
    again = await form.save(body, **{"Idempotency-Key": "form-1"})

    assert first.content == again.content
    assert again.headers["idempotent-replayed"] == "true"
    assert await count_rules(database) == 1


async def test_everything_that_is_wrong_comes_at_once_and_nothing_is_stored(
    database: Database, form: Form
) -> None:
    await form.save(a_form(a_day(1, a_window())))
    bad = a_form(
        a_day(
            1,
            a_window("12:00", "09:00", slotIntervalMinutes=7),
            a_window("25:00", "13:00", effectiveFrom="2031-02-30"),
            a_window(
                "13:00", "15:00", breaks=[a_break("14:00", "14:30"), a_break("14:10", "16:00")]
            ),
            a_window("16:00", "18:00", effectiveFrom="2031-02-02", effectiveTo="2031-02-01"),
            {"workStartLocal": "20:00", "slotIntervalMinutes": 0},
        ),
        a_day(2),
        a_day(1, a_window(priority="high")),
        {"dayOfWeek": 9, "enabled": "yes", "windows": []},
        scope={"timezone": "Mars/Base", "consultationMode": "pigeon"},
    )

    answer = await form.save(bad)

    assert sorted(codes(answer)) == sorted(
        [
            ("scope.consultationMode", "NOT_ALLOWED"),
            ("scope.timezone", "UNKNOWN_TIME_ZONE"),
            ("days.0.windows.0.slotIntervalMinutes", "NOT_ALLOWED"),
            ("days.0.windows.0.workEndLocal", "END_BEFORE_START"),
            ("days.0.windows.1.workStartLocal", "NOT_A_TIME"),
            ("days.0.windows.1.effectiveFrom", "NO_SUCH_DATE"),
            ("days.0.windows.2.breaks.1", "BREAK_OUTSIDE_WINDOW"),
            ("days.0.windows.2.breaks.1", "BREAK_OVERLAP"),
            ("days.0.windows.3.effectiveTo", "EFFECTIVE_TO_BEFORE_FROM"),
            ("days.0.windows.4.slotIntervalMinutes", "NOT_ALLOWED"),
            ("days.0.windows.4.workEndLocal", "REQUIRED"),
            ("days.1.enabled", "NO_WINDOWS"),
            ("days.2.dayOfWeek", "DUPLICATE_DAY"),
            ("days.2.windows.0.priority", "NOT_AN_INTEGER"),
            ("days.3.dayOfWeek", "TOO_LARGE"),
            ("days.3.enabled", "NOT_A_BOOLEAN"),
        ]
    )
    assert await form.hours() == {1: ["09:00-12:00"]}


BAD_WINDOWS: list[tuple[dict[str, Any], str, str]] = [
    (a_window("09:00", "09:00"), "windows.0.workEndLocal", "END_BEFORE_START"),
    (a_window("22:00", "02:00"), "windows.0.workEndLocal", "END_BEFORE_START"),
    (a_window("22:00", "00:00"), "windows.0.workEndLocal", "END_BEFORE_START"),
    (a_window("24:00", "24:00"), "windows.0.workStartLocal", "NOT_A_TIME"),
    (a_window("09:60", "12:00"), "windows.0.workStartLocal", "NOT_A_TIME"),
    (a_window("9:00", "12:00"), "windows.0.workStartLocal", "NOT_A_TIME"),
    (a_window("09:00", "24:01"), "windows.0.workEndLocal", "NOT_A_TIME"),
    (a_window("09:00", "12:00:00"), "windows.0.workEndLocal", "NOT_A_TIME"),
    (a_window("09:00", "٠٩:٠٠"), "windows.0.workEndLocal", "NOT_A_TIME"),
    (a_window() | {"workEndLocal": 720}, "windows.0.workEndLocal", "NOT_A_TIME"),
    (a_window() | {"workEndLocal": None}, "windows.0.workEndLocal", "NOT_A_TIME"),
    *[
        (a_window(slotIntervalMinutes=bad), "windows.0.slotIntervalMinutes", "NOT_ALLOWED")
        for bad in (0, 7, -5, 61, 1440, True, "30", None, 2**40)
    ],
    (a_window(priority=10**9), "windows.0.priority", "TOO_LARGE"),
    (a_window(effectiveFrom="0000-01-01"), "windows.0.effectiveFrom", "NO_SUCH_DATE"),
    (a_window(effectiveTo=0), "windows.0.effectiveTo", "NOT_A_DATE"),
    (a_window(status="confirmed"), "windows.0.status", "UNKNOWN_FIELD"),
    (a_window(breaks=None), "windows.0.breaks", "NOT_A_LIST"),
    (
        a_window(breaks=[a_break("10:00", "11:00", label="x" * 101)]),
        "windows.0.breaks.0.label",
        "TOO_LONG",
    ),
    (
        a_window(breaks=[a_break("10:00", "11:00", label="a\u202eb")]),
        "windows.0.breaks.0.label",
        "FORBIDDEN_CHARACTER",
    ),
    (
        a_window(breaks=[a_break("11:00", "10:00")]),
        "windows.0.breaks.0.breakEndLocal",
        "END_BEFORE_START",
    ),
    (a_window(breaks=[a_break("10:00", "11:00")] * 25), "windows.0.breaks", "TOO_MANY"),
]


@pytest.mark.parametrize(("window", "path", "code"), BAD_WINDOWS)
async def test_a_bad_window_is_refused_by_its_field_and_nothing_is_stored(
    database: Database, form: Form, window: dict[str, Any], path: str, code: str
) -> None:
    for answer in (
        await form.save(a_form(a_day(1, window))),
        await form.preview(a_form(a_day(1, window))),
    ):
        assert (f"days.0.{path}", code) in codes(answer)

    assert await count_rules(database) == 0


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"days": [a_day(1, *[a_window()] * 49)]}, "days.0.windows"),
        ({"days": [a_day(day % 7 + 1) for day in range(8)]}, "days"),
        ({"days": 7}, "days"),
        ({"days": None}, "days"),
        ({"days": [7]}, "days.0"),
        ({"scope": None}, "scope"),
        ({"scope": {}}, "scope.timezone"),
        ({"scope": {"timezone": "../../etc/passwd"}}, "scope.timezone"),
        ({"scope": {"timezone": "UTC", "appointmentTypeId": "all"}}, "scope.appointmentTypeId"),
        ({"replaceMode": "merge"}, "replaceMode"),
        ({"providerId": str(uuid4())}, "providerId"),
    ],
)
async def test_a_bad_form_is_refused_by_its_field(
    form: Form, changes: dict[str, Any], path: str
) -> None:
    answer = await form.save(a_form(a_day(1, a_window())) | changes)

    assert path in [each for each, _ in codes(answer)]


async def test_ten_thousand_windows_are_refused(database: Database, form: Form) -> None:
    answer = await form.save(a_form(a_day(1, *[a_window()] * 10_000)))

    assert ("days.0.windows", "TOO_MANY") in codes(answer)
    assert await count_rules(database) == 0
    assert (await form.save(a_form(a_day(1, a_window())))).status_code == 200


async def test_a_provider_has_at_most_a_thousand_rules(database: Database, form: Form) -> None:
    windows = [
        a_window(f"{n // 4:02}:{n % 4 * 15:02}", f"{n // 4:02}:{n % 4 * 15 + 5:02}")
        for n in range(48)
    ]
    week = a_form(*[a_day(day, *windows) for day in range(1, 8)], replaceMode="append")
    assert [(await form.save(week)).status_code for _ in range(2)] == [200, 200]

    answer = await form.save(week)

    assert codes(answer) == [("days", "TOO_MANY_RULES")]
    assert await count_rules(database) == 2 * 7 * 48


async def test_ids_of_others_are_refused_by_their_field(database: Database, form: Form) -> None:
    other = await a_practice(database, rooms=[NewRoom(name="1")])
    scope = {
        "appointmentTypeId": str(other.service_id),
        "doctorLocationId": str(other.location_id),
        "locationRoomId": str(other.room_ids[0]),
    }
    before = await count_rules(database)

    for answer in (
        await form.save(a_form(a_day(1, a_window()), scope=scope)),
        await form.preview(a_form(a_day(1, a_window()), scope=scope)),
    ):
        assert codes(answer) == [
            ("scope.appointmentTypeId", "UNKNOWN_APPOINTMENT_TYPE"),
            ("scope.doctorLocationId", "UNKNOWN_LOCATION"),
            ("scope.locationRoomId", "UNKNOWN_ROOM"),
        ]
    assert await count_rules(database) == before


async def test_the_schedule_of_others_does_not_exist(
    api: AsyncClient, as_user: As, form: Form, practice: Practice
) -> None:
    body = a_form(a_day(1, a_window()))
    for role, sub in (("patient", practice.provider_id), ("provider", uuid4())):
        headers = as_user(role, sub)
        for path in (form.path, f"/v1/providers/{uuid4()}/schedule"):
            answers = [
                await api.get(f"{path}/refdata", headers=headers),
                await api.get(f"{path}/rules", headers=headers),
                await api.post(f"{path}/preview", json=body, headers=headers),
                await api.post(f"{path}/rules/bulk_upsert", json=body, headers=headers),
            ]
            assert {answer.status_code for answer in answers} == {404}
            assert {answer.json()["code"] for answer in answers} == {"provider_not_found"}
    admin = as_user("admin", uuid4())
    assert (await api.get(f"{form.path}/rules", headers=admin)).status_code == 200
    unknown = f"/v1/providers/{uuid4()}/schedule"
    assert (await api.get(f"{unknown}/rules", headers=admin)).status_code == 404
    assert (await api.post(f"{unknown}/preview", json=body, headers=admin)).status_code == 404


async def tables(database: Database) -> Sequence[Any]:
    """How many rows there are of everything."""
    async with database.reading() as db:
        names = [
            row[0]
            for row in await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ]
        return [(name, await db.fetchval(f"SELECT count(*) FROM {name}")) for name in sorted(names)]


async def test_a_preview_has_the_shape_of_the_form_and_writes_nothing(
    database: Database, form: Form
) -> None:
    before = await tables(database)
    window = a_window("09:00", "11:00", breaks=[a_break("09:30", "10:00")])

    answer = await form.preview(
        a_form(
            a_day(1, window),
            a_day(2, a_window("23:00", "24:00")),
            closed(3),
            dateRange={"start": MONDAY, "end": SUNDAY},
        )
    )

    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "summary": {"totalSlots": 5, "daysEnabled": 2},
        "days": [
            {
                "date": MONDAY,
                "dayOfWeek": 1,
                "windows": [
                    {
                        "workStartLocal": "09:00",
                        "workEndLocal": "11:00",
                        "slotIntervalMinutes": 30,
                        "slots": [
                            {"startLocal": "09:00", "endLocal": "09:30"},
                            {"startLocal": "10:00", "endLocal": "10:30"},
                            {"startLocal": "10:30", "endLocal": "11:00"},
                        ],
                    }
                ],
            },
            {
                "date": "2031-03-25",
                "dayOfWeek": 2,
                "windows": [
                    {
                        "workStartLocal": "23:00",
                        "workEndLocal": "24:00",
                        "slotIntervalMinutes": 30,
                        "slots": [
                            {"startLocal": "23:00", "endLocal": "23:30"},
                            {"startLocal": "23:30", "endLocal": "24:00"},
                        ],
                    }
                ],
            },
        ],
        "warnings": [],
        "affectedAppointments": [],
    }
    assert await tables(database) == before


@pytest.mark.parametrize(
    ("on", "starts"),
    [
        ("2031-03-30", ["01:00", "02:00", "04:00"]),
        ("2031-10-26", ["01:00", "02:00", "03:00", "03:00", "04:00"]),
        ("2031-10-19", ["01:00", "02:00", "03:00", "04:00"]),
    ],
)
async def test_a_preview_shows_what_the_clock_on_the_wall_does(
    form: Form, on: str, starts: list[str]
) -> None:
    day = a_day(7, a_window("01:00", "05:00", slotIntervalMinutes=60))

    answer = await form.preview(
        a_form(day, scope={"timezone": "Europe/Athens"}, dateRange={"start": on, "end": on})
    )

    [found] = answer.json()["days"]
    assert [each["startLocal"] for each in found["windows"][0]["slots"]] == starts


async def test_a_preview_expands_a_range_of_up_to_62_days(form: Form) -> None:
    def asked(start: str, end: str) -> Any:
        everyday = [a_day(day, a_window("09:00", "10:00")) for day in range(1, 8)]
        return a_form(*everyday, dateRange={"start": start, "end": end})

    most = await form.preview(asked("2031-01-01", "2031-03-03"))
    over = await form.preview(asked("2031-01-01", "2031-03-04"))
    reversed_ = await form.preview(asked("2031-01-02", "2031-01-01"))

    assert most.json()["summary"] == {"totalSlots": 124, "daysEnabled": 7}
    assert len(most.json()["days"]) == 62
    assert codes(over) == [("dateRange.end", "RANGE_TOO_LONG")]
    assert codes(reversed_) == [("dateRange.end", "END_BEFORE_START")]


@pytest.mark.parametrize("zone", ["Pacific/Apia", "Africa/Casablanca", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    ("start", "end"), [("1970-01-01", "1970-01-07"), ("2199-12-25", "2199-12-31")]
)
async def test_the_first_and_the_last_days_that_there_are_can_be_previewed(
    form: Form, zone: str, start: str, end: str
) -> None:
    everyday = [a_day(day, a_window("00:00", "24:00")) for day in range(1, 8)]

    answer = await form.preview(
        a_form(*everyday, scope={"timezone": zone}, dateRange={"start": start, "end": end})
    )

    assert answer.status_code == 200, answer.text
    assert len(answer.json()["days"]) == 7


async def test_a_preview_without_a_range_is_about_the_next_seven_days(form: Form) -> None:
    everyday = [a_day(day, a_window("00:00", "24:00")) for day in range(1, 8)]

    answer = await form.preview(a_form(*everyday))

    today = datetime.now(UTC).date()
    dates = [each["date"] for each in answer.json()["days"]]
    assert len(dates) == 7
    assert dates[0] in (str(today), str(today - DAY))


async def test_a_preview_warns_of_what_could_not_be_saved(form: Form) -> None:
    body = a_form(
        a_day(
            1,
            a_window(
                "09:00",
                "10:00",
                breaks=[
                    a_break("08:00", "08:30"),
                    a_break("09:20", "09:40"),
                    a_break("09:30", "10:00"),
                ],
            ),
        ),
        a_day(2),
        dateRange={"start": MONDAY, "end": SUNDAY},
    )

    answer = await form.preview(body)

    assert answer.status_code == 200
    assert answer.json()["warnings"][:3] == [
        {
            "code": "BREAK_OUTSIDE_WINDOW",
            "path": "days.0.windows.0.breaks.0",
            "message": "Break must be inside the work window.",
        },
        {
            "code": "BREAK_OVERLAP",
            "path": "days.0.windows.0.breaks.2",
            "message": "Breaks must not overlap each other.",
        },
        {
            "code": "NO_WINDOWS",
            "path": "days.1.enabled",
            "message": "Enabled days must have at least one window.",
        },
    ]
    assert answer.json()["summary"] == {"totalSlots": 0, "daysEnabled": 2}
    assert {each["code"] for each in answer.json()["warnings"][3:]} == {"NO_SLOTS"}
    assert len(codes(await form.save({name: body[name] for name in ("scope", "days")}))) == 3


async def test_a_preview_warns_of_hours_that_nobody_could_book(
    database: Database, form: Form, practice: Practice
) -> None:
    await form.save(a_form(a_day(1, a_window("13:00", "14:00"))))
    await form.save(a_form(a_day(2, a_window()), scope={"timezone": "Asia/Tokyo"}))
    async with database.orm_transaction() as db:
        start = datetime(2031, 3, 26, 10, tzinfo=UTC)
        await add_exception(
            db,
            practice.provider_id,
            NewException(
                kind=ExceptionKind.BLOCKED, starts_at=start, ends_at=start + timedelta(hours=1)
            ),
        )

    async def warnings(*days: Any, **more: Any) -> set[tuple[str, str]]:
        body = a_form(*days, dateRange={"start": MONDAY, "end": SUNDAY}, **more)
        found = (await form.preview(body)).json()["warnings"]
        return {(each["path"], each["code"]) for each in found}

    service = {"appointmentTypeId": str(practice.service_id)}
    assert await warnings(a_day(4, a_window())) == set()
    assert await warnings(a_day(2, a_window())) == {("scope.timezone", "OTHER_TIME_ZONE")}
    assert await warnings(a_day(4, a_window("09:00", "09:10"))) == {
        ("days.0.windows.0", "NO_SLOTS")
    }
    assert await warnings(a_day(3, a_window())) == {("dateRange", "EXCEPTIONS_APPLY")}
    assert await warnings(a_day(1, a_window("12:00", "13:30")), replaceMode="append") == {
        ("days.0.windows.0", "WINDOWS_OVERLAP")
    }
    assert await warnings(a_day(1, a_window("12:00", "13:30"))) == set()
    assert await warnings(
        a_day(4, a_window("09:00", "09:20", slotIntervalMinutes=10)), scope=service
    ) == {("days.0.windows.0", "APPOINTMENT_DOES_NOT_FIT")}
    assert await warnings(a_day(4, a_window()), scope=service | {"consultationMode": "video"}) == {
        ("scope.consultationMode", "SCOPE_NEVER_MATCHES")
    }


async def test_a_preview_names_who_would_fall_outside_the_new_hours(
    database: Database, api: AsyncClient, as_user: As
) -> None:
    practice = await a_practice(database, buffer_after_minutes=15)
    form = Form(api, as_user, practice)
    day = in_days(5, 0)
    early, late, edge = (
        a_booking(practice, day + timedelta(hours=h, minutes=m))
        for h, m in ((9, 0), (10, 30), (11, 0))
    )
    pending = a_booking(practice, day + timedelta(hours=9, minutes=30), "pending")
    held = a_booking(practice, day + timedelta(hours=9), "held")
    over = a_booking(practice, day + timedelta(hours=9), "cancelled")
    outside = a_booking(practice, day + timedelta(hours=15))
    past = a_booking(practice, day - 14 * DAY + timedelta(hours=9))
    await receive(database, early, late, edge, pending, held, over, outside, past)

    async def affected(*windows: Any, **more: Any) -> list[str]:
        weekday = day.isoweekday()
        body = a_form(a_day(weekday, *windows) if windows else closed(weekday), **more)
        answer = await form.preview(body)
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["affectedAppointments"]]

    assert await affected(a_window("09:00", "12:00")) == []
    assert await affected(a_window("10:30", "12:00")) == [str(early.id), str(pending.id)]
    assert await affected(a_window("09:00", "11:30")) == [str(edge.id)]
    assert await affected(a_window("09:00", "10:00"), a_window("10:00", "12:00")) == []
    assert await affected() == [str(each.id) for each in (early, pending, late, edge)]
    assert await affected(replaceMode="append") == []
    assert await affected(a_window("10:30", "12:00"), scope={"timezone": "Asia/Tokyo"}) == []
