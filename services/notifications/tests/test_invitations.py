"""Appointments in mails, as calendars read them: one event, revised in place, taken away again."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from icalendar import Calendar

from notifications.channels.email import EmailChannel
from notifications.channels.smtp import SmtpServer
from notifications.domain.job import Job
from notifications.domain.news import News, Party
from notifications.letters import LetterWriter
from notifications.unsubscribing import UnsubscribeLinks

from .builders import PATIENT_EMAIL, a_contact, a_job, facts_about, some_facts
from .conftest import SENDER
from .mail_host import Mail

APPOINTMENT = UUID("01900000-0000-7000-8000-00000000000a")
OLD = UUID("01900000-0000-7000-8000-00000000000b")
START = datetime(2026, 11, 24, 7, 30, tzinfo=UTC)
ORIGIN = "https://medic.example"


def mail_for(job: Job) -> Mail:
    channel = EmailChannel(
        SmtpServer.of("smtp://localhost:1"),
        sender=SENDER,
        writer=LetterWriter(ORIGIN),
        links=UnsubscribeLinks(ORIGIN, secret="a secret"),
    )
    return Mail(PATIENT_EMAIL, channel.compose(job, PATIENT_EMAIL).content)


def calendars(mail: Mail) -> dict[str, list[Any]]:
    """By content type: the calendars in the mail."""
    found: dict[str, list[Any]] = {}
    for part in mail.message.walk():
        if part.get_content_type() in ("text/calendar", "application/ics"):
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            assert max(map(len, content.split(b"\r\n"))) <= 75
            calendar = Calendar.from_ical(content)
            if part.get_content_type() == "text/calendar":
                assert part.get_param("method") == calendar["METHOD"]
            found.setdefault(part.get_content_type(), []).append(calendar)
    return found


def the_event(calendar: Any) -> Any:
    [event] = calendar.walk("VEVENT")
    return event


def test_a_confirmation_puts_it_into_the_calendar() -> None:
    job = a_job(facts=some_facts(appointment_id=APPOINTMENT), version=3)

    found = calendars(mail_for(job))

    [inline], [beside] = found["text/calendar"], found["application/ics"]
    assert inline == beside
    assert inline["METHOD"] == "REQUEST"
    event = the_event(inline)
    # As calendar-sync writes the same appointment.
    assert event["UID"] == f"{APPOINTMENT}@medic.example"
    assert (event["SEQUENCE"], event["STATUS"]) == (3, "CONFIRMED")
    assert (event["DTSTART"].dt, event["DTEND"].dt) == (START, START + timedelta(minutes=30))
    assert event["SUMMARY"] == "Appointment with Dr. Eleni Ioannou"
    assert event["LOCATION"] == "Main clinic, 5 Example Street, Athens"
    assert event["ORGANIZER"] == "mailto:appointments@medic.example"
    assert event["ATTENDEE"] == f"mailto:{PATIENT_EMAIL}"


def test_a_cancellation_takes_away_the_same_event_with_a_later_revision() -> None:
    facts = some_facts(appointment_id=APPOINTMENT)
    confirmed, cancelled = (
        a_job(facts=facts, version=3),
        a_job(facts=facts, version=4, news=News.CANCELLED),
    )

    before, after = (
        the_event(calendars(mail_for(job))["text/calendar"][0]) for job in (confirmed, cancelled)
    )

    assert before["UID"] == after["UID"]
    assert before["SEQUENCE"] < after["SEQUENCE"]
    assert after["STATUS"] == "CANCELLED"
    assert calendars(mail_for(cancelled))["text/calendar"][0]["METHOD"] == "CANCEL"


def test_a_move_puts_the_new_time_and_takes_away_the_old_one() -> None:
    facts = some_facts(appointment_id=APPOINTMENT, rescheduled_from=OLD)
    job = a_job(facts=facts, news=News.RESCHEDULED, replaced_version=4)

    found = calendars(mail_for(job))

    [new] = found["text/calendar"]
    assert (new["METHOD"], the_event(new)["UID"]) == ("REQUEST", f"{APPOINTMENT}@medic.example")
    old = found["application/ics"][1]
    assert (old["METHOD"], the_event(old)["UID"]) == ("CANCEL", f"{OLD}@medic.example")
    assert the_event(old)["SEQUENCE"] == 4


@pytest.mark.parametrize(
    "news", [News.REQUESTED, News.REJECTED, News.REQUEST_EXPIRED, News.REMINDER]
)
def test_what_is_not_agreed_or_already_there_is_no_calendar_entry(news: News) -> None:
    assert calendars(mail_for(a_job(news=news, facts=facts_about(news)))) == {}


def test_names_and_places_are_taken_literally() -> None:
    name = "Eve\r\nEND:VEVENT\r\nX-EVIL:1;,\\n \\ ; , " + "ά" * 60
    facts = some_facts(provider_name=name, location_name=name, location_address=name)

    [calendar] = calendars(mail_for(a_job(facts=facts)))["text/calendar"]

    event = the_event(calendar)
    assert "X-EVIL" not in event
    assert event["SUMMARY"].startswith("Appointment with Eve END:VEVENT X-EVIL:1;,\\n \\ ; , άά")
    assert "Eve END:VEVENT" in event["LOCATION"]


def test_the_providers_entry_names_no_patient() -> None:
    job = a_job(party=Party.PROVIDER, recipient=a_contact(language="el"))

    [calendar] = calendars(mail_for(job))["text/calendar"]

    assert the_event(calendar)["SUMMARY"] == "Ραντεβού"
