"""Links by which people put an appointment into a calendar of their own."""

from datetime import UTC
from typing import NamedTuple
from urllib.parse import quote

from bookings.domain.appointment import Appointment
from bookings.domain.lifecycle import Status

_KIND = {
    "in_person": "Appointment",
    "video": "Video appointment",
    "phone": "Phone appointment",
}
_STANDING = frozenset({Status.PENDING, Status.CONFIRMED})


class CalendarLinks(NamedTuple):
    google: str
    outlook: str
    ics: str
    """A path of this API; reading it takes an access token."""


def calendar_links(appointment: Appointment) -> CalendarLinks | None:
    """None when the appointment does not stand, or no longer.

    Whatever is in a link is told to whoever runs the calendar, so it says how the appointment takes
    place, with whom and where, and never what it is about.
    """
    if appointment.status not in _STANDING:
        return None
    terms = appointment.terms
    start, end = (each.astimezone(UTC) for each in (appointment.start, appointment.end))
    title = _encoded(f"{_KIND[appointment.mode]} with {terms.provider_name}")
    where = ""
    if appointment.mode == "in_person":
        where = _encoded(", ".join(filter(None, (terms.location_name, terms.location_address))))
    return CalendarLinks(
        "https://calendar.google.com/calendar/render?action=TEMPLATE"
        f"&text={title}&dates={start:%Y%m%dT%H%M%SZ}/{end:%Y%m%dT%H%M%SZ}&location={where}",
        "https://outlook.live.com/calendar/0/action/compose?rru=addevent"
        f"&subject={title}&startdt={start:%Y-%m-%dT%H:%M:%SZ}&enddt={end:%Y-%m-%dT%H:%M:%SZ}"
        f"&location={where}",
        f"/v1/appointments/{appointment.id}/calendar.ics",
    )


def _encoded(text: str) -> str:
    """One line, as a value in a query string."""
    return quote(" ".join(text.split()), safe="")
