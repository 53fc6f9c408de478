"""What a calendar event says about an appointment, and to whom.

Calendars are copied to phones, shared with families and shown on office screens. So the words that
anybody may see tell that there is an appointment and how it takes place, never with whom or why.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from calendar_sync.entries import Entry, Mode, Status

# Controls and line separators. Calendars read them as ends of lines, and so as properties of ours.
_NOT_IN_A_LINE = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029]+")

_KIND = {
    Mode.IN_PERSON: "Appointment",
    Mode.VIDEO: "Video appointment",
    Mode.PHONE: "Phone appointment",
}
_STATE = {
    Status.PENDING: "To be confirmed: ",
    Status.CANCELLED: "Cancelled: ",
}


@dataclass(frozen=True, slots=True)
class Words:
    summary: str
    description: str | None
    location: str | None


Wording: TypeAlias = Callable[[Entry], Words]


def neutral(entry: Entry) -> Words:
    """For whoever looks at somebody's calendar."""
    return Words(f"{_STATE.get(entry.status, '')}{_KIND[entry.mode]}", None, _location(entry))


def for_provider(entry: Entry) -> Words:
    """What is to be done, for the provider's own devices; never with whom."""
    summary = f"{_STATE.get(entry.status, '')}{_KIND[entry.mode]}: {one_line(entry.service_title)}"
    return Words(summary, None, _location(entry))


def for_patient(entry: Entry) -> Words:
    """For the patient's own calendar; what the appointment is about stays out of the title."""
    summary = (
        f"{_STATE.get(entry.status, '')}{_KIND[entry.mode]} with {one_line(entry.provider_name)}"
    )
    return Words(summary, one_line(entry.service_title), _location(entry))


def one_line(text: str) -> str:
    """The text without anything that could end its line."""
    return _NOT_IN_A_LINE.sub(" ", text).strip()


def _location(entry: Entry) -> str | None:
    if entry.mode is not Mode.IN_PERSON:
        return None
    parts = [one_line(part) for part in (entry.location_name, entry.location_address) if part]
    return ", ".join(part for part in parts if part) or None
