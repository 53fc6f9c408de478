"""What is in the files, read back by icalendar and, where it is about bytes, by hand."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from icalendar import Calendar, Event

from calendar_sync import ics, wording
from calendar_sync.entries import Entry, Mode, Status
from shared.events.booking import AppointmentEvent

AnAppointment = Callable[..., AppointmentEvent]
AnEntry = Callable[..., Entry]

HOST = "clinic.example"
HOSTILE = [
    "Dr. A\r\nATTENDEE:mailto:spy@evil.example",
    "Dr. A\nEND:VEVENT\nEND:VCALENDAR\nBEGIN:VCALENDAR",
    "Dr. A\rSUMMARY:other",
    "Dr. A\x0bX\x0cY\x85Z\u2028Q\u2029R",
    "Dr. A\x00\x1f\x7f",
    'Dr. "A"; B, C: \\D \\n \\N \\\\',
    "{{7*7}} <script>alert(1)</script> %0d%0aX:1",
    "Δρ. Παπαδόπουλος 🏥 " * 20,
    "x" * 500,
    "é" * 100 + ",;" * 50,
]


@pytest.fixture
def an_entry(an_appointment: AnAppointment) -> AnEntry:
    def build(**given: Any) -> Entry:
        entry = Entry.of(an_appointment(**given))
        assert entry is not None
        return entry

    return build


def events(content: bytes) -> list[Event]:
    calendar = Calendar.from_ical(content)
    return [event for event in calendar.walk("VEVENT") if isinstance(event, Event)]


def only(content: bytes) -> Event:
    [event] = events(content)
    return event


def test_an_event_has_its_times_in_utc(an_entry: AnEntry) -> None:
    athens = datetime.fromisoformat("2026-03-29T02:30:00+02:00")
    entry = an_entry(start=athens, end=athens + timedelta(hours=1))

    content = ics.single(entry, wording.neutral, host=HOST)

    assert b"DTSTART:20260329T003000Z\r\n" in content
    assert b"DTEND:20260329T013000Z\r\n" in content
    assert b"VTIMEZONE" not in content
    assert only(content).start == athens


def test_an_event_keeps_its_id_and_its_sequence_grows(
    an_entry: AnEntry, an_appointment: AnAppointment
) -> None:
    id_ = an_appointment().id
    older, newer = (
        only(ics.single(an_entry(id=id_, version=version), wording.neutral, host=HOST))
        for version in (2, 3)
    )

    assert older["UID"] == newer["UID"] == f"{id_}@{HOST}"
    assert (older["SEQUENCE"], newer["SEQUENCE"]) == (2, 3)


@pytest.mark.parametrize(
    ("status", "written", "transparency"),
    [
        ("pending", "TENTATIVE", "OPAQUE"),
        ("confirmed", "CONFIRMED", "OPAQUE"),
        ("completed", "CONFIRMED", "OPAQUE"),
        ("no_show", "CONFIRMED", "OPAQUE"),
        ("cancelled", "CANCELLED", "TRANSPARENT"),
    ],
)
def test_the_status_is_one_that_calendars_know(
    an_entry: AnEntry, status: str, written: str, transparency: str
) -> None:
    event = only(ics.single(an_entry(status=status), wording.neutral, host=HOST))

    assert (event["STATUS"], event["TRANSP"]) == (written, transparency)


def test_a_file_is_complete_by_rfc_5545(an_entry: AnEntry) -> None:
    changed_at = datetime(2026, 4, 2, 8, 0, tzinfo=UTC)
    content = ics.single(an_entry(updated_at=changed_at), wording.neutral, host=HOST)

    calendar = Calendar.from_ical(content)
    event = only(content)
    assert calendar["VERSION"] == "2.0"
    assert calendar["PRODID"]
    assert "METHOD" not in calendar
    assert event["DTSTAMP"].dt == event["LAST-MODIFIED"].dt == changed_at
    assert "ATTENDEE" not in event
    assert "ORGANIZER" not in event


def test_a_feed_says_how_often_to_look(an_entry: AnEntry) -> None:
    content = ics.feed(
        [an_entry()],
        wording.neutral,
        title="Appointments: Dr. A",
        timezone="Europe/Athens",
        host=HOST,
    )

    assert b"REFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n" in content
    assert b"X-PUBLISHED-TTL:PT1H\r\n" in content
    assert b"X-WR-TIMEZONE:Europe/Athens\r\n" in content
    assert b"X-WR-CALNAME:Appointments: Dr. A\r\n" in content


def test_the_same_entries_make_the_same_bytes(an_entry: AnEntry) -> None:
    entries = [an_entry() for _ in range(3)]

    first, second = (
        ics.feed(entries, wording.neutral, title="Dr. A", timezone="Europe/Athens", host=HOST)
        for _ in range(2)
    )

    assert first == second
    assert len(events(first)) == 3


def test_neutral_words_tell_neither_whom_nor_why(an_entry: AnEntry) -> None:
    for mode, status in product(Mode, Status):
        entry = an_entry(mode=mode.value, status=status.value, service_title="HIV test")

        content = ics.feed(
            [entry], wording.neutral, title="Dr. A", timezone="UTC", host=HOST
        ).decode()

        assert "HIV" not in content
        assert str(entry.user_id) not in content
        assert "DESCRIPTION" not in content


@pytest.mark.parametrize(
    ("mode", "summary"),
    [
        ("in_person", "Appointment"),
        ("video", "Video appointment"),
        ("phone", "Phone appointment"),
    ],
)
def test_neutral_words_tell_how_it_takes_place(an_entry: AnEntry, mode: str, summary: str) -> None:
    assert wording.neutral(an_entry(mode=mode)).summary == summary


def test_a_patient_is_told_what_with_whom_and_where(an_entry: AnEntry) -> None:
    event = only(ics.single(an_entry(), wording.for_patient, host=HOST))

    assert event["SUMMARY"] == "Appointment with Dr. Eleni Ioannou"
    assert event["DESCRIPTION"] == "First consultation"
    assert event["LOCATION"] == "Main clinic, 5 Example Street, Athens"


@pytest.mark.parametrize("mode", ["video", "phone"])
def test_only_an_appointment_in_person_has_a_place(an_entry: AnEntry, mode: str) -> None:
    assert "LOCATION" not in only(ics.single(an_entry(mode=mode), wording.for_patient, host=HOST))


@pytest.mark.parametrize(
    ("name", "address", "location"),
    [
        ("Main clinic", None, "Main clinic"),
        (None, "5 Example Street", "5 Example Street"),
        (None, None, None),
        ("\r\n", " ", None),
    ],
)
def test_a_place_is_as_complete_as_it_is_known(
    an_entry: AnEntry, name: str | None, address: str | None, location: str | None
) -> None:
    words = wording.neutral(an_entry(location_name=name, location_address=address))

    assert words.location == location


@pytest.mark.parametrize(
    ("status", "summary"),
    [("pending", "To be confirmed: Appointment"), ("cancelled", "Cancelled: Appointment")],
)
def test_what_is_not_sure_says_so_in_its_title(
    an_entry: AnEntry, status: str, summary: str
) -> None:
    assert wording.neutral(an_entry(status=status)).summary == summary


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_inside_its_property(an_entry: AnEntry, text: str) -> None:
    plain, odd = (
        ics.single(
            an_entry(
                provider_name=value,
                service_title=value,
                location_name=value,
                location_address=value,
            ),
            wording.for_patient,
            host=HOST,
        )
        for value in ("plain", text)
    )

    assert property_names(odd) == property_names(plain)
    assert set(only(odd)) == set(only(plain))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_inside_the_name_of_the_feed(text: str) -> None:
    plain, odd = (
        ics.feed([], wording.neutral, title=value, timezone=value, host=HOST)
        for value in ("plain", text)
    )

    assert property_names(odd) == property_names(plain)
    assert set(Calendar.from_ical(odd)) == set(Calendar.from_ical(plain))


@pytest.mark.parametrize("text", ['Dr. "A"; B, C: \\D \\n', "Δρ. Παπαδόπουλος", "{{7*7}} <b>"])
def test_odd_but_decent_text_comes_back_as_it_was(an_entry: AnEntry, text: str) -> None:
    event = only(ics.single(an_entry(service_title=text), wording.for_patient, host=HOST))

    assert event["DESCRIPTION"] == text


@pytest.mark.parametrize("text", HOSTILE)
def test_lines_are_folded_and_end_as_they_must(an_entry: AnEntry, text: str) -> None:
    content = ics.single(an_entry(location_address=text), wording.for_patient, host=HOST)

    lines = content.split(b"\r\n")
    assert lines.pop() == b""
    for line in lines:
        assert len(line) <= 75
        assert not set(line) & {*range(9), *range(10, 32), 127}
        line.decode()  # no character is cut in two


def property_names(content: bytes) -> list[str]:
    unfolded = content.replace(b"\r\n ", b"").decode()
    return [line.replace(";", ":").split(":")[0] for line in unfolded.split("\r\n")]
