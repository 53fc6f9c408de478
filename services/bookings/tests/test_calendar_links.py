"""Links that put an appointment into somebody's own calendar."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import pytest

from bookings.domain.calendar_links import calendar_links
from bookings.domain.lifecycle import Status

from .builders import an_appointment, some_terms

SHOWN = {Status.PENDING, Status.CONFIRMED}
HOSTILE = [
    "Dr. A&dates=19700101T000000Z/19700102T000000Z",
    "Dr. A#fragment",
    "Dr. A\r\nX-Evil: 1",
    "Dr. A\u2028line",
    'Dr. "A" <script>alert(1)</script> {{7*7}} %0d%0a +1 \\n',
    "Δρ. Παπαδόπουλος 🏥",
]


def parameters(url: str) -> dict[str, str]:
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def links(**changes: Any) -> tuple[dict[str, str], dict[str, str]]:
    """The parameters for Google and for Outlook."""
    found = calendar_links(an_appointment(**changes))
    assert found is not None
    assert found.google.startswith("https://calendar.google.com/calendar/render?")
    assert found.outlook.startswith("https://outlook.live.com/calendar/0/action/compose?")
    return parameters(found.google), parameters(found.outlook)


@pytest.mark.parametrize("status", Status)
def test_only_what_stands_is_put_into_a_calendar(status: Status) -> None:
    assert (calendar_links(an_appointment(status=status)) is not None) == (status in SHOWN)


def test_times_are_in_utc() -> None:
    start = datetime(2026, 3, 29, 2, 30, tzinfo=ZoneInfo("Europe/Athens"))
    end = datetime(2026, 3, 29, 4, 30, tzinfo=ZoneInfo("Europe/Athens"))

    google, outlook = links(start=start, end=end)

    assert google["dates"] == "20260329T003000Z/20260329T013000Z"
    assert (outlook["startdt"], outlook["enddt"]) == (
        "2026-03-29T00:30:00Z",
        "2026-03-29T01:30:00Z",
    )


def test_they_say_how_and_with_whom_and_never_what_about() -> None:
    google, outlook = links(
        mode="video",
        reason="A rash",
        notes="Allergic",
        terms=some_terms(location_name="Main clinic", service_title="Dermatology"),
    )

    assert google["text"] == outlook["subject"] == "Video appointment with Dr. Eleni"
    assert google["location"] == outlook["location"] == ""
    told = " ".join([*google.values(), *outlook.values()])
    assert not any(word in told for word in ("rash", "Allergic", "Dermatology", "Main clinic"))


def test_a_place_is_told_where_people_go() -> None:
    terms = some_terms(location_name="Main clinic", location_address="5 Example Street, Athens")

    google, outlook = links(mode="in_person", terms=terms)

    assert google["location"] == "Main clinic, 5 Example Street, Athens" == outlook["location"]


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_is_in_a_name_stays_in_its_parameter(text: str) -> None:
    plain = links(mode="in_person", terms=some_terms(location_name="x"))
    odd = links(mode="in_person", terms=some_terms(provider_name=text, location_name=text))

    one_line = " ".join(text.split())
    assert [each.keys() for each in odd] == [each.keys() for each in plain]
    assert odd[0]["dates"] == plain[0]["dates"]
    assert odd[0]["text"] == f"Appointment with {one_line}"
    assert odd[1]["location"] == one_line


def test_the_file_is_the_appointments_own() -> None:
    appointment = an_appointment()

    found = calendar_links(appointment)

    assert found is not None
    assert found.ics == f"/v1/appointments/{appointment.id}/calendar.ics"
