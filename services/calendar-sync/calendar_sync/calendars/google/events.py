"""Google's events, in our words and back."""

from base64 import b32hexencode
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from calendar_sync.calendars.contract import (
    MARKER,
    ExternalEvent,
    Occurrence,
    OurEvent,
    Unreadable,
)

_TAKE_NO_TIME = frozenset({"workingLocation", "birthday"})
_ANOTHER_ID = UUID("0192f1a0-6f0c-7d51-9a35-6b3c1d8a7e42")
"""Names the space of second ids; any constant would do."""


def ids_of(key: UUID) -> tuple[str, str]:
    """The id of our event, and another for the case that the first is somebody else's.

    Google allows base32hex in lower case, from 5 to 1024 characters.
    """
    return _base32hex(key), _base32hex(uuid5(_ANOTHER_ID, str(key)))


def _base32hex(key: UUID) -> str:
    return b32hexencode(key.bytes).decode().rstrip("=").lower()


def key_of(item: Mapping[str, Any]) -> UUID | None:
    """Which event of ours this is, by its marker."""
    try:
        return UUID(item["extendedProperties"]["private"][MARKER])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def body_of(event: OurEvent) -> dict[str, Any]:
    """What is ours to say of an event; the rest, such as its colour, is left to its owner."""
    return {
        "status": "confirmed",
        "transparency": "opaque",
        "summary": event.summary,
        "location": event.location,
        "description": event.description,
        "start": _time(event.start),
        "end": _time(event.end),
        "extendedProperties": {"private": {MARKER: str(event.key)}},
    }


def _time(instant: datetime) -> dict[str, Any]:
    # In a change, null takes away what makes a day of the time, or ties it to a zone.
    text = instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {"dateTime": text, "date": None, "timeZone": None}


def read(item: Any) -> ExternalEvent | Unreadable:
    """One entry of a list of events."""
    try:
        return _read(item)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        id_ = item.get("id") if isinstance(item, Mapping) else None
        return Unreadable(id_ if isinstance(id_, str) else "", "not_understood")


def _read(item: Mapping[str, Any]) -> ExternalEvent:
    id_, etag, uid = item["id"], item.get("etag"), item.get("iCalUID")
    if not isinstance(id_, str):
        raise TypeError
    occurrences: tuple[Occurrence, ...] = ()
    if item.get("status") != "cancelled":
        occurrences = (
            Occurrence(
                start=_instant(item["start"]),
                end=_instant(item["end"]),
                is_free=item.get("transparency") == "transparent"
                or item.get("eventType") in _TAKE_NO_TIME,
                is_tentative=item.get("status") == "tentative" or _answer(item) == "tentative",
                is_declined=_answer(item) == "declined",
            ),
        )
    return ExternalEvent(
        id=id_,
        etag=etag if isinstance(etag, str) else None,
        uid=uid if isinstance(uid, str) else None,
        key=key_of(item),
        occurrences=occurrences,
    )


def _answer(item: Mapping[str, Any]) -> str | None:
    """What the calendar's owner has said to an invitation."""
    answers = [each.get("responseStatus") for each in item.get("attendees", ()) if each.get("self")]
    return answers[0] if answers else None


def _instant(time: Mapping[str, Any]) -> datetime | date:
    day = time.get("date")
    if day is not None:
        return date.fromisoformat(day)
    instant = datetime.fromisoformat(time["dateTime"])
    if instant.tzinfo is None:
        # Without an offset it is a time of the zone that is named next to it.
        try:
            instant = instant.replace(tzinfo=ZoneInfo(time["timeZone"]))
        except (ZoneInfoNotFoundError, OSError) as error:
            raise ValueError("no such zone") from error
    return instant
