"""Our own events as calendar objects (RFC 5545), for servers that keep such objects."""

from datetime import UTC

from icalendar import Calendar, Event

from calendar_sync.calendars.contract import OurEvent
from calendar_sync.calendars.icalendar_events import MARKER_PROPERTY

_PRODUCT = "-//Medic platform//Calendar sync//EN"


def object_of(event: OurEvent) -> bytes:
    """Without METHOD and attendees: it stands in a calendar, and invites nobody."""
    calendar = Calendar()
    calendar.add("PRODID", _PRODUCT)
    calendar.add("VERSION", "2.0")
    calendar.add("CALSCALE", "GREGORIAN")
    written = Event()
    written.add("UID", event.uid)
    written.add("DTSTAMP", event.changed_at.astimezone(UTC))
    written.add("SEQUENCE", event.sequence)
    written.add("DTSTART", event.start.astimezone(UTC))
    written.add("DTEND", event.end.astimezone(UTC))
    written.add("STATUS", "CONFIRMED")
    written.add("TRANSP", "OPAQUE")
    written.add("CLASS", "PRIVATE")
    written.add("SUMMARY", event.summary)
    if event.description:
        written.add("DESCRIPTION", event.description)
    if event.location:
        written.add("LOCATION", event.location)
    written.add(MARKER_PROPERTY, str(event.key))
    calendar.add_component(written)
    content: bytes = calendar.to_ical()
    return content
