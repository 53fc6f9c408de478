"""iCalendar text (RFC 5545) as neutral events, whatever somebody has written into it.

Nothing here is safe to run beside anything else: see ``expansion``.
"""

import re
import signal
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import recurring_ical_events  # type: ignore[import-untyped]
from icalendar import Calendar, Event

from calendar_sync.calendars.contract import (
    MARKER,
    ExternalEvent,
    Occurrence,
    Unreadable,
    Window,
)

MARKER_PROPERTY = f"X-{MARKER.upper()}"

_MOST_BYTES = 256 * 1024
"""Of one event with all its exceptions."""
_MOST_OCCURRENCES = 5000
_MOST_DEPTH = 6
_MOST_EVENTS = 20_000
_CPU_SECONDS = 2.0
_MARGIN = timedelta(days=2)
"""A zone is at most this far from UTC, and a local day begins somewhere in it."""

_UID = re.compile(rb"(?m)^UID(?:;[^:\r\n]*)?:([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)")
_FOLD = re.compile(rb"\r?\n[ \t]")
_RECURS = re.compile(rb"(?mi)^(?:RRULE|RDATE|RECURRENCE-ID|DURATION)[;:]")
_STARTS = re.compile(rb"(?mi)^DTSTART(?:;[^:\r\n]*)?:(\d{8})")
_ENDS = re.compile(rb"(?mi)^DTEND(?:;[^:\r\n]*)?:(\d{8})")
_FREE = frozenset({"FREE", "WORKINGELSEWHERE"})

Read = TypeVar("Read")


class NotACalendar(ValueError):
    """The text is no iCalendar object at all."""


class TooManyEvents(ValueError):
    """A calendar with so many is no person's."""


class _TooMuchWork(BaseException):
    """The time for one event is over. No library takes it for an error of its own."""


def event_of(
    id_: str, etag: str | None, text: bytes, window: Window, owners: Collection[str]
) -> ExternalEvent | Unreadable:
    """One series with its exceptions, expanded over the window."""
    if len(text) > _MOST_BYTES:
        return Unreadable(id_, "too_large")
    if _depth(text) > _MOST_DEPTH:
        return Unreadable(id_, "nested_too_deep")
    try:
        return _limited(lambda: _read(id_, etag, text, window, owners))
    except _TooMuchWork:
        return Unreadable(id_, "too_much_work")
    except (NotACalendar, OverflowError):
        return Unreadable(id_, "invalid")
    except Exception:  # noqa: BLE001 -- whatever the parsers stumble over, it is this one event
        return Unreadable(id_, "invalid")


def events_of(
    text: bytes, window: Window, owners: Collection[str]
) -> Iterator[ExternalEvent | Unreadable]:
    """Those of a whole file that may touch the window, each under its UID.

    Raises NotACalendar, TooManyEvents.
    """
    zones, found = _taken_apart(text)
    series = {
        uid: parts
        for uid, parts in found.items()
        if any(_may_touch(part, window) for part in parts)
    }
    if len(series) > _MOST_EVENTS:
        raise TooManyEvents
    for uid, parts in series.items():
        needed = [zone for name, zone in zones.items() if any(name in part for part in parts)]
        whole = b"".join((b"BEGIN:VCALENDAR\r\n", *needed, *parts, b"END:VCALENDAR\r\n"))
        yield event_of(uid, None, whole, window, owners)


def _read(
    id_: str, etag: str | None, text: bytes, window: Window, owners: Collection[str]
) -> ExternalEvent | Unreadable:
    calendar = Calendar.from_ical(text)
    events = [each for each in calendar.walk("VEVENT") if isinstance(each, Event)]
    if not events:
        return ExternalEvent(id=id_, etag=etag)
    if any(each.get("DTSTART") is None for each in events):
        return Unreadable(id_, "no_start")
    if any(_ticks(each) for each in events):
        return Unreadable(id_, "too_many_occurrences")
    found = recurring_ical_events.of(calendar).between(window.start - _MARGIN, window.end + _MARGIN)
    if len(found) > _MOST_OCCURRENCES:
        return Unreadable(id_, "too_many_occurrences")
    first = events[0]
    return ExternalEvent(
        id=id_,
        etag=etag,
        uid=str(first.get("UID", "")) or None,
        key=_key(first.get(MARKER_PROPERTY)),
        occurrences=tuple(_occurrence(each, owners) for each in found),
    )


def _occurrence(event: Any, owners: Collection[str]) -> Occurrence:
    status = str(event.get("STATUS", "")).upper()
    busy_status = str(event.get("X-MICROSOFT-CDO-BUSYSTATUS", "")).upper()
    return Occurrence(
        start=event.start,
        end=event.end,
        is_free=str(event.get("TRANSP", "")).upper() == "TRANSPARENT" or busy_status in _FREE,
        is_tentative="TENTATIVE" in (status, busy_status),
        is_declined=_is_declined(event, owners),
        is_cancelled=status == "CANCELLED",
    )


def _is_declined(event: Any, owners: Collection[str]) -> bool:
    attendees = event.get("ATTENDEE", [])
    for attendee in attendees if isinstance(attendees, list) else [attendees]:
        address = str(attendee).lower().removeprefix("mailto:")
        if address in owners:
            return str(attendee.params.get("PARTSTAT", "")).upper() == "DECLINED"
    return False


def _ticks(event: Event) -> bool:
    """Whether it comes so often that counting it would take for ever."""
    rules = event.get("RRULE", [])
    for rule in rules if isinstance(rules, list) else [rules]:
        often = {str(each).upper() for each in rule.get("FREQ", [])}
        if often & {"SECONDLY", "MINUTELY"}:
            return True
    return False


def _key(value: object) -> UUID | None:
    try:
        return UUID(str(value)) if value is not None else None
    except ValueError:
        return None


def _depth(text: bytes) -> int:
    depth = deepest = 0
    for line in text.splitlines():
        head = line[:6].upper()
        if head == b"BEGIN:":
            depth += 1
            deepest = max(deepest, depth)
        elif head[:4] == b"END:":
            depth -= 1
    return deepest


def _taken_apart(text: bytes) -> tuple[dict[bytes, bytes], dict[str, list[bytes]]]:
    """Zones by their names, and events by their UIDs, as they are written in a whole file."""
    if not text.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].upper().startswith(b"BEGIN:VCALENDAR"):
        raise NotACalendar
    zones: dict[bytes, bytes] = {}
    series: dict[str, list[bytes]] = {}
    depth, part, kind = 0, list[bytes](), b""
    for line in text.splitlines(keepends=True):
        head = line[:20].upper().rstrip()
        if head.startswith(b"BEGIN:") and head != b"BEGIN:VCALENDAR":
            depth += 1
            if depth == 1:
                part, kind = [], head
        if depth:
            part.append(line)
        if head.startswith(b"END:") and depth:
            depth -= 1
            if depth == 0 and kind == b"BEGIN:VEVENT":
                whole = b"".join(part)
                series.setdefault(_uid(whole), []).append(whole)
            elif depth == 0 and kind == b"BEGIN:VTIMEZONE":
                whole = b"".join(part)
                name = re.search(rb"(?mi)^TZID(?:;[^:\r\n]*)?:([^\r\n]+)", whole)
                if name:
                    zones[name[1].strip()] = whole
    return zones, series


def _uid(event: bytes) -> str:
    found = _UID.search(event)
    uid = _FOLD.sub(b"", found[1]).decode(errors="replace").strip() if found else ""
    start = _STARTS.search(event)
    return uid or f"without-uid-{start[1].decode() if start else ''}"


def _may_touch(event: bytes, window: Window) -> bool:
    """False only when it certainly does not: parsing years of the past would cost seconds."""
    start, end = _STARTS.search(event), _ENDS.search(event)
    if start is None or end is None or _RECURS.search(event):
        return True
    first, last = start[1].decode(), end[1].decode()
    return last >= _day(window.start - _MARGIN) and first <= _day(window.end + _MARGIN)


def _day(instant: datetime) -> str:
    return f"{instant:%Y%m%d}"


def _limited(read: Callable[[], Read]) -> Read:
    """Raises _TooMuchWork when it takes more than its share of the processor."""

    def stop(*_: object) -> None:
        raise _TooMuchWork

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, _CPU_SECONDS)
    try:
        return read()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
