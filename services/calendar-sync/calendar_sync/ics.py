"""Calendar files (RFC 5545, RFC 7986).

Without a METHOD these are calendars to read, not invitations to answer, and DTSTAMP is the last
change. The same entries always make the same bytes.
"""

from collections.abc import Iterable
from datetime import UTC, timedelta

from icalendar import Calendar, Event, vText

from calendar_sync.entries import Entry, Status
from calendar_sync.wording import Wording, one_line
from shared.appointment_uid import appointment_uid

_PRODUCT = "-//Medic platform//Calendar sync//EN"
_REFRESH = timedelta(hours=1)

_STATUS = {
    Status.PENDING: "TENTATIVE",
    Status.CONFIRMED: "CONFIRMED",
    Status.COMPLETED: "CONFIRMED",
    Status.NO_SHOW: "CONFIRMED",
    Status.CANCELLED: "CANCELLED",
}


def uid(entry: Entry, host: str) -> str:
    """By this id calendars know an appointment again; its revisions have a growing SEQUENCE."""
    return appointment_uid(entry.id, host)


def feed(
    entries: Iterable[Entry], wording: Wording, *, title: str, timezone: str | None, host: str
) -> bytes:
    """A calendar to subscribe to; ``timezone`` is a hint for showing it, the times are in UTC."""
    calendar = _calendar()
    calendar.add("NAME", vText(one_line(title)))
    calendar.add("X-WR-CALNAME", vText(one_line(title)))
    if timezone is not None:
        calendar.add("X-WR-TIMEZONE", vText(one_line(timezone)))
    calendar.add("REFRESH-INTERVAL", _REFRESH, parameters={"VALUE": "DURATION"})
    calendar.add("X-PUBLISHED-TTL", "PT1H")
    for entry in entries:
        calendar.add_component(_event(entry, wording, host))
    return _written(calendar)


def single(entry: Entry, wording: Wording, *, host: str) -> bytes:
    """One appointment, to be put into a calendar; importing a later one again updates it."""
    calendar = _calendar()
    calendar.add_component(_event(entry, wording, host))
    return _written(calendar)


def _calendar() -> Calendar:
    calendar = Calendar()
    calendar.add("PRODID", _PRODUCT)
    calendar.add("VERSION", "2.0")
    calendar.add("CALSCALE", "GREGORIAN")
    return calendar


def _event(entry: Entry, wording: Wording, host: str) -> Event:
    words = wording(entry)
    event = Event()
    event.add("UID", uid(entry, host))
    event.add("DTSTAMP", entry.changed_at.astimezone(UTC))
    event.add("LAST-MODIFIED", entry.changed_at.astimezone(UTC))
    event.add("CREATED", entry.created_at.astimezone(UTC))
    event.add("SEQUENCE", entry.version)
    event.add("DTSTART", entry.starts_at.astimezone(UTC))
    event.add("DTEND", entry.ends_at.astimezone(UTC))
    event.add("STATUS", _STATUS[entry.status])
    event.add("TRANSP", "TRANSPARENT" if entry.status is Status.CANCELLED else "OPAQUE")
    event.add("CLASS", "PRIVATE")
    event.add("SUMMARY", words.summary)
    if words.description:
        event.add("DESCRIPTION", words.description)
    if words.location:
        event.add("LOCATION", words.location)
    return event


def _written(calendar: Calendar) -> bytes:
    content: bytes = calendar.to_ical()
    return content
