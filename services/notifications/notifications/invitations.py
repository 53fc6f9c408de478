"""Appointments as mail programs put them into calendars (RFC 5545, 5546).

Written out here like mails, because ``icalendar`` takes longer than the whole letter; it reads them
back in the tests.
"""

from datetime import UTC, datetime
from email.headerregistry import Address
from typing import Literal

from notifications.domain.facts import Facts
from notifications.domain.job import Job
from notifications.domain.news import News
from notifications.domain.plain_text import one_line
from shared.appointment_uid import appointment_uid

Method = Literal["REQUEST", "CANCEL"]

METHODS: dict[News, Method] = {
    News.CONFIRMED: "REQUEST",
    News.RESCHEDULED: "REQUEST",
    News.CANCELLED: "CANCEL",
}
_LONGEST_LINE = 73
_LONGEST_PLACE = 240


def invitation(
    job: Job, facts: Facts, *, title: str, organizer: Address, attendee: Address, host: str
) -> str:
    """Puts the appointment into a calendar, moves it there, or takes it away."""
    method = METHODS[job.news]
    place = ", ".join(filter(None, (facts.location_name, facts.location_address)))
    lines = [
        f"UID:{appointment_uid(facts.appointment_id, host)}",
        f"SEQUENCE:{job.version or 0}",
        f"DTSTART:{_utc(facts.start)}",
        f"DTEND:{_utc(facts.end)}",
        f"STATUS:{'CANCELLED' if method == 'CANCEL' else 'CONFIRMED'}",
        f"SUMMARY:{_text(title)}",
        "CLASS:PRIVATE",
    ]
    if place:
        lines.append(f"LOCATION:{_text(one_line(place, _LONGEST_PLACE))}")
    return _calendar(method, lines, job.now, organizer, attendee)


def withdrawal(
    job: Job, facts: Facts, *, organizer: Address, attendee: Address, host: str
) -> str | None:
    """Takes the appointment away that this one replaces; None when it replaces none."""
    if facts.rescheduled_from is None or job.replaced_version is None:
        return None
    lines = [
        f"UID:{appointment_uid(facts.rescheduled_from, host)}",
        f"SEQUENCE:{job.replaced_version}",
        "STATUS:CANCELLED",
    ]
    return _calendar("CANCEL", lines, job.now, organizer, attendee)


def _calendar(
    method: Method, lines: list[str], now: datetime, organizer: Address, attendee: Address
) -> str:
    everything = [
        "BEGIN:VCALENDAR",
        "PRODID:-//Medic platform//Notifications//EN",
        "VERSION:2.0",
        "CALSCALE:GREGORIAN",
        f"METHOD:{method}",
        "BEGIN:VEVENT",
        f"DTSTAMP:{_utc(now)}",
        *lines,
        f"ORGANIZER:mailto:{organizer.addr_spec}",
        f"ATTENDEE;PARTSTAT=ACCEPTED;RSVP=FALSE:mailto:{attendee.addr_spec}",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(f"{_folded(line)}\r\n" for line in everything)


def _utc(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(value: str) -> str:
    for mark in "\\;,":
        value = value.replace(mark, f"\\{mark}")
    return value.replace("\r", "").replace("\n", "\\n")


def _folded(line: str) -> str:
    """At most 75 octets a line, never in the middle of a character."""
    if len(line.encode()) <= _LONGEST_LINE:
        return line
    rows, row, size = [], "", 0
    for character in line:
        width = len(character.encode())
        if size + width > _LONGEST_LINE:
            rows.append(row)
            row, size = "", 0
        row, size = row + character, size + width
    return "\r\n ".join([*rows, row])
