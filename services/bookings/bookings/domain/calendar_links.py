"""Links by which people put an appointment into a calendar of their own."""

from datetime import UTC, datetime
from functools import lru_cache
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
    start, end = _written(appointment.start), _written(appointment.end)
    title = _encoded(f"{_KIND[appointment.mode]} with {terms.provider_name}")
    where = ""
    if appointment.mode == "in_person":
        where = _encoded(", ".join(filter(None, (terms.location_name, terms.location_address))))
    return CalendarLinks(
        "https://calendar.google.com/calendar/render?action=TEMPLATE"
        f"&text={title}&dates={_short(start)}/{_short(end)}&location={where}",
        "https://outlook.live.com/calendar/0/action/compose?rru=addevent"
        f"&subject={title}&startdt={start}&enddt={end}&location={where}",
        f"/v1/appointments/{appointment.id}/calendar.ics",
    )


def _written(instant: datetime) -> str:
    return f"{instant.astimezone(UTC).isoformat()[:19]}Z"


def _short(written: str) -> str:
    return written.replace("-", "").replace(":", "")


@lru_cache(maxsize=1024)
def _encoded(text: str) -> str:
    """One line, as a value in a query string."""
    return quote(" ".join(text.split()), safe="")
