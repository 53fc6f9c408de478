"""Each field type: what it takes, what it makes of it, and how it names what it refuses."""

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter, ValidationError

from shared.fields import (
    Answer,
    Body,
    Instant,
    Latitude,
    LocalTime,
    Longitude,
    Note,
    Text,
    instant_text,
)
from shared.testing.raw_http import ask
from shared.testing.toy_api import (
    GOOD_VISIT,
    Mode,
    Wanted,
    assert_refused,
    book,
    make_toy_api,
    toy_settings,
)

ID = GOOD_VISIT["providerId"]


@pytest.fixture
def app(jwks_file: Path) -> FastAPI:
    return make_toy_api(toy_settings(jwks_file))


REFUSED: dict[str, dict[str, list[Any]]] = {
    "providerId": {
        "NOT_AN_ID": [
            "",
            "7",
            ID.replace("-", ""),
            "{" + ID + "}",
            "urn:uuid:" + ID,
            " " + ID,
            ID + "\n",
            ID[:-1],
            "018f2d3c-7b1a-7c3e-9d41-5f0c2b6a8e1g",
            "٠18f2d3c-7b1a-7c3e-9d41-5f0c2b6a8e10",
            "' OR 1=1 --",
            7,
            True,
            None,
            [ID],
            {"id": ID},
        ],
    },
    "startsAt": {
        "NOT_AN_INSTANT": [
            "",
            "2026-03-29",
            "2026-03-29T09:30:00",  # naive; in Athens 03:30 did not exist on that day
            "2026-03-29T09:30Z",
            "2026-03-29 09:30:00Z",
            "2026-03-29t09:30:00z",
            "20260329T093000Z",
            "2026-03-29T09:30:00.1234567Z",
            "2026-03-29T09:30:00,5Z",
            "2026-03-29T24:00:00Z",
            "2026-03-29T23:60:00Z",
            "2016-12-31T23:59:60Z",
            "2026-03-29T09:30:00+24:00",
            "2026-03-29T09:30:00+03",
            "2026-03-29T09:30:00+0300",
            "2026-03-29T09:30:00 +03:00",
            "2026-03-29T09:30:00Z[Europe/Athens]",
            "٢٠٢٦-03-29T09:30:00Z",
            "99999-01-01T00:00:00Z",
            "-2026-01-01T00:00:00Z",
            "now",
            "infinity",
            "1774776600",
            1774776600,
            1774776600.5,
            -1,
            True,
            None,
            [],
        ],
        "NO_SUCH_INSTANT": [
            "2026-02-29T09:30:00Z",
            "2026-13-01T09:30:00Z",
            "2026-00-10T09:30:00Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
        ],
        "YEAR_OUT_OF_RANGE": [
            "0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+03:00",
            "2199-12-31T23:59:59-01:00",
            "9999-12-31T23:59:59Z",
        ],
    },
    "bornOn": {
        "NOT_A_DATE": [
            "",
            "29.03.2026",
            "2026-3-29",
            "20260329",
            "2026-W13-7",
            "2026-03-29T00:00:00Z",
            "2026-03-29 ",
            "٢٠٢٦-03-29",
            0,
            1774776600,
            True,
            [],
        ],
        "NO_SUCH_DATE": ["2026-02-29", "2026-04-31", "2026-00-01", "2026-01-00", "0000-01-01"],
        "YEAR_OUT_OF_RANGE": ["0001-01-01", "1969-12-31", "2200-01-01", "9999-12-31"],
    },
    "windows.0.endLocal": {
        "NOT_A_TIME": [
            "",
            "24:00",
            "23:60",
            "23:59:60",
            "23:59:59",
            "9:30",
            "09:30Z",
            "09:30+03:00",
            "0930",
            "９:30",
            "-1:00",
            570,
            True,
            None,
        ],
    },
    "zone": {
        "UNKNOWN_TIME_ZONE": [
            "",
            "Mars/Base",
            "Europe",
            "Europe/",
            "/Europe/Athens",
            "../../etc/passwd",
            "Europe/../Europe/Athens",
            "posix/Europe/Athens",
            "right/Europe/Athens",
            "localtime",
            "posixrules",
            "Factory",
            "europe/athens",
            "Europe/Athens ",
            "+03:00",
            "tzdata.zi",
            "zone.tab",
            "A" * 5000,
            None,
            3,
            ["UTC"],
        ],
    },
    "name": {
        "NOT_TEXT": [7, True, None, ["Anna"], {"first": "Anna"}],
        "BLANK": ["", " ", "\u00a0\u2003"],
        "TOO_LONG": ["a" * 101, "a" * 5000],
        "FORBIDDEN_CHARACTER": [
            "Anna\tP",
            "Anna\nBcc: x@example.com",
            "Anna\r\nBEGIN:VEVENT",
            "\x1b[31mAnna",
            "Anna\x7f",
            "Anna\x85",
            "\u202egnp.exe",
            "\u2066Anna",
            "\ufeffAnna",
            "An\u200bna",
            "An\u2060na",
            "Anna\u2028P",
            "Anna\ufffe",
        ],
        "TOO_MANY_MARKS": ["Z" + "\u0301" * 9, "Z" + "\u0321\u0301" * 40, "Z" + "\u20e3" * 9],
    },
    "reason": {
        "FORBIDDEN_CHARACTER": ["a\x0bb", "a\x0cb", "a\u2029b", "\u202eb"],
        "TOO_LONG": ["a" * 2001, "\u0958" * 1500],  # the latter only when normalised
    },
    "email": {
        "NOT_AN_EMAIL": [
            "",
            "anna",
            "anna@",
            "@example.com",
            "anna@localhost",
            "anna@example",
            "anna@[127.0.0.1]",
            "anna@exa mple.com",
            "anna@example.com ",
            "anna@example.com\r\nBcc: eve@example.com",
            "Anna <anna@example.com>",
            '"anna"@example.com',
            "anna@example.com,eve@example.com",
            "anna@xn--a.example.com\ud7ff\u0301",
            "a" * 65 + "@example.com",
            "a@" + "b" * 250 + ".com",
            "a@" * 3000,
            7,
            True,
            [],
        ],
    },
    "phone": {
        "NOT_A_PHONE": [
            "",
            "2101234567",
            "00302101234567",
            "+",
            "+30 abc",
            "+30210123456\u0667",
            "+30;ext=1",
            "+" + "3" * 5000,
            302101234567,
            True,
        ],
        "NO_SUCH_PHONE": [
            "+0000000",
            "+30 111111",
            "+999 12345678",
            "+1 ((((((((",
            "+30 210 12345678999",
        ],
    },
    "language": {
        "NOT_A_LANGUAGE": ["", "E", "EL", "greek", "el_GR", "el-gr", "el-GR-x-evil", "el;q=1", 7],
    },
    "currency": {
        "UNKNOWN_CURRENCY": ["", "eur", "EURO", "€", "ZZZ", "XXX", "EUR ", None, 978],
    },
    "priceCents": {
        "NOT_AN_INTEGER": ["7", "", 7.5, 0.1, True, False, None, [7], {}],
        "TOO_SMALL": [-1, -(2**63)],
        "TOO_LARGE": [100_000_001, 2**31, 2**63 - 1],
    },
    "duration": {
        "NOT_AN_INTEGER": ["30", "PT30M", 30.5, True],
        "TOO_SMALL": [-30],
        "TOO_LARGE": [10_081, 2**53],
    },
    "weekday": {"TOO_SMALL": [0, -1], "TOO_LARGE": [8], "NOT_AN_INTEGER": ["1", "Monday", True]},
    "urgent": {"NOT_A_BOOLEAN": [0, 1, "true", "yes", "", None, []]},
    "mode": {"NOT_ALLOWED": ["", "VIDEO", "video ", "phone", 0, True, None, ["video"]]},
    "windows": {
        "NOT_A_LIST": [None, {}, "", 0, "[]", {"0": {}}],
        "TOO_MANY": [[{"startLocal": "08:00", "endLocal": "09:00"}] * 11],
    },
    "windows.0": {
        "NOT_AN_OBJECT": [None, [], "", 0],
        "END_BEFORE_START": [
            {"startLocal": "09:00", "endLocal": "08:00"},
            {"startLocal": "09:00", "endLocal": "09:00"},
        ],
    },
    "contact": {
        "NOT_ALLOWED": [{"kind": "fax", "number": "1"}, {"kind": "${7*7}"}],
        "REQUIRED": [{}, {"address": "anna@example.com"}],
        "NOT_AN_OBJECT": [[], "mail", 0],
    },
    "contact.address": {"NOT_AN_EMAIL": ["x"]},
    "when": {"NOT_AN_INSTANT": ["soon"]},
}


def a_visit_with(path: str, value: Any) -> dict[str, Any]:
    if path == "windows.0.endLocal":
        return GOOD_VISIT | {"windows": [{"startLocal": "00:00", "endLocal": value}]}
    if path == "windows.0":
        return GOOD_VISIT | {"windows": [value]}
    if path == "contact.address":
        return GOOD_VISIT | {"contact": {"kind": "mail", "address": value}}
    return GOOD_VISIT | {path: value}


@pytest.mark.parametrize(
    ("path", "code", "value"),
    [
        pytest.param(path, code, value, id=f"{path}={value!a:.40}")
        for path, codes in REFUSED.items()
        for code, values in codes.items()
        for value in values
    ],
)
async def test_a_bad_value_is_refused_by_name(
    app: FastAPI, path: str, code: str, value: Any
) -> None:
    answer = await book(app, a_visit_with(path, value))

    await assert_refused(app, answer, 422, path, code)


ACCEPTED: dict[str, list[tuple[Any, Any]]] = {
    "starts_at": [
        ("2026-03-29T09:30:00Z", datetime(2026, 3, 29, 9, 30, tzinfo=UTC)),
        ("2026-03-29T09:30:00.5+03:00", datetime(2026, 3, 29, 6, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-03-29T09:30:00.123456-00:00", datetime(2026, 3, 29, 9, 30, 0, 123_456, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2200-01-01T00:00:00+00:01", datetime(2199, 12, 31, 23, 59, tzinfo=UTC)),
    ],
    "born_on": [("2024-02-29", date(2024, 2, 29)), ("1970-01-01", date(1970, 1, 1))],
    "zone": [(name, name) for name in ("Europe/Athens", "Australia/Lord_Howe", "Pacific/Apia")],
    "name": [
        (" Anna ", "Anna"),
        ("Α\u0301ννα", "Άννα"),
        ("Robert'); DROP TABLE visits;--", "Robert'); DROP TABLE visits;--"),
        ("{{7*7}} <b>&amp;", "{{7*7}} <b>&amp;"),
        ("👩\u200d⚕️", "👩\u200d⚕️"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("ก็้", "ก็้"),
        ("a" * 100, "a" * 100),
    ],
    "reason": [("one\r\ntwo\rthree\n\tfour ", "one\ntwo\nthree\n\tfour"), (None, None)],
    "email": [("Anna.P+x@EXAMPLE.com", "Anna.P+x@example.com"), ("άννα@example.com",) * 2],
    "phone": [("+30 (210) 123-4567", "+302101234567"), ("+447911123456", "+447911123456")],
    "language": [(tag, tag) for tag in ("el", "en-GB", "zh-Hant-TW", "es-419")],
    "currency": [("USD", "USD")],
    "price_cents": [(0, 0), (100_000_000, 100_000_000), (7.0, 7), (1e3, 1000)],
    "urgent": [(True, True)],
    "mode": [("video", "video")],
    "when": [("2026-03-29", date(2026, 3, 29))],
}


@pytest.mark.parametrize(
    ("field", "sent", "kept"),
    [
        pytest.param(field, sent, kept, id=f"{field}={sent!a:.40}")
        for field, pairs in ACCEPTED.items()
        for sent, kept in pairs
    ],
)
async def test_a_good_value_is_kept_in_one_form(
    app: FastAPI, field: str, sent: Any, kept: Any
) -> None:
    name = "".join(part.title() if n else part for n, part in enumerate(field.split("_")))

    answer = await book(app, **{name: sent})

    assert answer.status == 201, answer.body
    assert getattr(app.state.stored[0], field) == kept


async def test_ids_are_read_in_either_case(app: FastAPI) -> None:
    answer = await book(app, providerId=ID.upper())

    assert answer.json()["id"] == ID


@pytest.mark.parametrize("name", ["status", "id", "starts_at", "provider_id", "__class__", "", "x"])
async def test_a_field_that_is_not_the_callers_to_set_is_refused(app: FastAPI, name: str) -> None:
    path = name or "?"

    await assert_refused(app, await book(app, **{name: "confirmed"}), 422, path, "UNKNOWN_FIELD")


async def test_python_names_do_not_stand_in_for_json_names(app: FastAPI) -> None:
    answer = await book(app, {"provider_id": ID, "startsAt": GOOD_VISIT["startsAt"], "name": "A"})

    await assert_refused(app, answer, 422, "providerId", "REQUIRED")


async def test_every_fault_is_told_at_once_up_to_a_limit(app: FastAPI) -> None:
    in_body = await book(app, {f"x{n}": n for n in range(5000)})
    in_query = await ask(app, "GET", "/v1/visits?" + "&".join(f"x{n}=1" for n in range(5000)))

    for answer in (in_body, in_query):
        assert answer.status == 422
        assert len(answer.json()["errors"]) == 100


async def test_what_was_sent_is_never_quoted(app: FastAPI) -> None:
    secret = "s3cret-Wert"
    fields = {name: secret for name in ACCEPTED if name != "name"}

    answer = await book(app, fields | {"contact": {"kind": secret}, secret + "<x>": secret})

    await assert_refused(app, answer, 422)
    assert secret not in answer.body.decode()


JUNK: list[Any] = [
    None, True, 0, -1, 7.5, 2**31, 2**63 - 1, -(2**63), 1e308, "", " ", "7", "null", "a" * 10_000,
    "%s%n{0}{{7*7}}${7*7}", "\u202e\u200f", "\U0010ffff", "Z" + "\u0301" * 5000, "\uffff", "'\"\\",
    [], [[]], [None] * 1000, {}, {"": ""}, {"__proto__": {"admin": True}}, {"$ne": None},
]  # fmt: skip


@pytest.mark.parametrize("field", [*ACCEPTED, "windows", "contact", "guests", "weekday"])
async def test_junk_in_any_field_never_breaks_the_service(app: FastAPI, field: str) -> None:
    name = "".join(part.title() if n else part for n, part in enumerate(field.split("_")))

    answers = [await book(app, **{name: junk}) for junk in JUNK]

    assert {answer.status for answer in answers} <= {201, 400, 422}
    for answer in answers:
        if answer.status != 201:
            assert {error["path"].split(".")[0] for error in answer.json()["errors"]} == {name}


async def test_combining_marks_cannot_make_normalising_slow() -> None:
    """Sorting a long run of marks takes time with the square of its length."""
    flood = "a" + "\u0301\u0321" * 100_000
    wide = TypeAdapter(Annotated[str, Text(300_000)])

    with pytest.raises(ValidationError) as caught:
        wide.validate_python(flood)

    assert caught.value.errors()[0]["type"] == "ours:TOO_MANY_MARKS"


IN_QUERY = {
    "limit": ["", " 7", "7 ", "+7", "%2B7", "7.0", "07", "-0", "0x7", "1e1", "1_0", "٧", "９",
              "true", "0", "101", "9" * 5000, "-1", "null", "NaN"],
    "cursor": ["", "a b", "a%2Fb", "a=", "x" * 513, "é"],
    "since": ["2026-03-29", "2026-03-29T09:30:00", "1774776600", "0001-01-01T00:00:00%2B14:00"],
    "day": ["", "0", "20260329", "0000-01-01", "9999-12-31", "2026-02-30"],
    "at": ["24:00", "9:30", "3600"],
    "zone": ["", "Mars/Base", "..%2F..%2Fetc%2Fpasswd", "Europe"],
    "providerId": ["", "7", ID.replace("-", ""), "%7B" + ID + "%7D", "null"],
    "mode": ["", "VIDEO", "0"],
    "named": ["", "%20", "a" * 101, "%E2%80%AE", "Z" + "%CC%81" * 9],
    "language": ["EL"],
    "currency": ["eur"],
    "urgent": ["", "1", "on", "yes", "True", "t"],
    "weekdays": ["0", "8", "1,2", "x"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [pytest.param(n, v, id=f"{n}={v:.20}") for n, values in IN_QUERY.items() for v in values],
)
async def test_a_bad_query_parameter_is_refused_by_name(
    app: FastAPI, name: str, value: str
) -> None:
    target = f"/v1/visits?{name}={quote(value, safe='%+')}"

    await assert_refused(app, await ask(app, "GET", target), 422, name)


async def test_good_query_parameters_arrive_as_what_they_mean(app: FastAPI) -> None:
    query = (
        "limit=7&cursor=abc&since=2026-03-29T09:30:00%2B03:00&day=2026-03-29&at=09:30"
        f"&zone=Europe/Athens&providerId={ID}&mode=video&named=+Anna+P&urgent=true"
        "&weekdays=1&weekdays=5"
    )

    answer = await ask(app, "GET", f"/v1/visits?{query}")

    assert answer.status == 200
    assert app.state.wanted == Wanted.model_construct(
        limit=7,
        cursor="abc",
        since=datetime(2026, 3, 29, 6, 30, tzinfo=UTC),
        day=date(2026, 3, 29),
        at=time(9, 30),
        zone="Europe/Athens",
        provider_id=UUID(ID),
        mode=Mode.VIDEO,
        named="Anna P",
        language=None,
        currency=None,
        urgent=True,
        weekdays=[1, 5],
    )


@pytest.mark.parametrize(
    ("path", "name", "code"),
    [
        ("/v1/visits/7", "visitId", "NOT_AN_ID"),
        (f"/v1/visits/{ID}%0d", None, None),
        (f"/v1/visits/%7B{ID}%7D", "visitId", "NOT_AN_ID"),
        (f"/v1/visits/{ID}/guests/+7", "number", "NOT_AN_INTEGER"),
        (f"/v1/visits/{ID}/guests/7.0", "number", "NOT_AN_INTEGER"),
        (f"/v1/visits/{ID}/guests/%20" + "7", "number", "NOT_AN_INTEGER"),
        (f"/v1/visits/{ID}/guests/%D9%A7", "number", "NOT_AN_INTEGER"),
        (f"/v1/visits/{ID}/guests/10001", "number", "TOO_LARGE"),
        (f"/v1/visits/{ID}/guests/{2**64}", "number", "NOT_AN_INTEGER"),
    ],
)
async def test_a_bad_path_parameter_is_refused_by_name(
    app: FastAPI, path: str, name: str | None, code: str | None
) -> None:
    answer = await ask(app, "GET", path)

    await assert_refused(app, answer, 422 if name else 400, name or "path", code)


class Clock(Answer):
    at: Instant
    opens: LocalTime


def test_answers_write_times_in_one_format() -> None:
    athens = timezone(timedelta(hours=3))

    clock = Clock(at=datetime(2026, 3, 29, 9, 30, 0, 123_999, athens), opens=time(9, 30))

    assert json.loads(clock.model_dump_json()) == {
        "at": "2026-03-29T06:30:00.123Z",
        "opens": "09:30",
    }
    assert instant_text(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"


def test_an_answer_refuses_an_instant_without_a_zone() -> None:
    with pytest.raises(ValidationError):
        Clock(at=datetime(2026, 3, 29), opens=time(9))  # noqa: DTZ001


class Memo(Body):
    text: Note


def test_a_note_may_be_as_long_as_it_says() -> None:
    assert len(Memo.model_validate({"text": "x" * 2000}).text) == 2000


@pytest.mark.parametrize("degrees", [Latitude, Longitude])
def test_degrees_are_numbers_on_the_globe(degrees: Any) -> None:
    field = TypeAdapter(degrees)
    most = 90 if degrees is Latitude else 180

    assert [field.validate_python(value) for value in (-most, most, 0, 37.98)] == [
        -most,
        most,
        0,
        37.98,
    ]
    for wrong in (
        most + 0.001,
        -most - 1,
        10**400,
        float("nan"),
        float("inf"),
        True,
        "37",
        None,
        [],
    ):
        with pytest.raises(ValidationError):
            field.validate_python(wrong)
