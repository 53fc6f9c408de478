"""Between Graph's events and ours: pure translation."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from calendar_sync.calendars.contract import MARKER, Occurrence, OurEvent

PROPERTY = f"String {{7a1c2c5e-4f0e-4c86-9d53-0a6ad7c7f2b4}} Name {MARKER}"
"""The extended property in which an event of ours carries its key."""

FIELDS = "id,type,start,end,isAllDay,showAs,isCancelled,responseStatus,originalStartTimeZone"
"""What an occurrence is read from."""

_FREE = frozenset({"free", "workingElsewhere"})


class Odd(ValueError):
    """The event makes no sense; the text is a stable code."""


def occurrence_of(item: Mapping[str, Any], zone: ZoneInfo) -> Occurrence:
    """``zone`` is the calendar's. Raises Odd."""
    start, end = _instant(item.get("start")), _instant(item.get("end"))
    response = item.get("responseStatus")
    first: datetime | date = start
    after: datetime | date = end
    if item.get("isAllDay") is True:
        first, after = _days(start, end, _zone_of_all_day(item, zone))
    return Occurrence(
        start=first,
        end=after,
        is_free=item.get("showAs") in _FREE,
        is_tentative=item.get("showAs") == "tentative",
        is_declined=isinstance(response, dict) and response.get("response") == "declined",
        is_cancelled=item.get("isCancelled") is True,
    )


def key_of(item: Mapping[str, Any]) -> UUID | None:
    """Of our event that it is. Delta answers carry no extended properties, hence both places."""
    marked = str(item.get("transactionId") or "")
    if marked.startswith(f"{MARKER}:"):
        return _uuid(marked.split(":")[1])
    properties = item.get("singleValueExtendedProperties")
    for each in properties if isinstance(properties, list) else ():
        if isinstance(each, dict) and each.get("id") == PROPERTY:
            return _uuid(str(each.get("value")))
    return None


def content_of(event: OurEvent) -> dict[str, Any]:
    """Everything we say about it, whatever is there already."""
    return {
        "subject": event.summary,
        "body": {"contentType": "text", "content": event.description or ""},
        "location": {"displayName": event.location or ""},
        "start": _in_utc(event.start),
        "end": _in_utc(event.end),
        "isAllDay": False,
        "showAs": "busy",
        "singleValueExtendedProperties": [{"id": PROPERTY, "value": str(event.key)}],
    }


def transaction_id(key: UUID, again: str = "") -> str:
    """By which Graph knows that an event has been made before."""
    return f"{MARKER}:{key}:{again}" if again else f"{MARKER}:{key}"


def graph_time(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"


def expiry_of(answer: Mapping[str, Any]) -> datetime:
    """Of a subscription. Raises ValueError."""
    until = datetime.fromisoformat(str(answer.get("expirationDateTime")))
    return until if until.tzinfo else until.replace(tzinfo=UTC)


def _in_utc(instant: datetime) -> dict[str, str]:
    return {"dateTime": f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}", "timeZone": "UTC"}


def _instant(value: Any) -> datetime:
    if not isinstance(value, dict):
        raise Odd("no_time")
    try:
        local = datetime.fromisoformat(str(value.get("dateTime")))
    except ValueError:
        raise Odd("bad_time") from None
    if local.tzinfo is None:
        local = local.replace(tzinfo=zone_named(str(value.get("timeZone"))))
    return local.astimezone(UTC)


@cache
def zone_named(name: str) -> ZoneInfo:
    """By its Windows or its IANA name. Raises Odd."""
    try:
        return ZoneInfo(WINDOWS_TO_OLSON.get(name, name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Odd("unknown_timezone") from None


def _zone_of_all_day(item: Mapping[str, Any], zone: ZoneInfo) -> ZoneInfo:
    try:
        return zone_named(str(item.get("originalStartTimeZone")))
    except Odd:
        return zone


def _days(start: datetime, end: datetime, zone: ZoneInfo) -> tuple[date, date]:
    """Whole days are told from midnight to midnight, in the zone asked for or in their own."""
    if start.time() != datetime.min.time():
        start, end = start.astimezone(zone), end.astimezone(zone)
    if end.time() != datetime.min.time():
        end += timedelta(days=1)
    return start.date(), max(end.date(), start.date() + timedelta(days=1))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
