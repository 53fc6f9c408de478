"""How a calendar file (RFC 5545) is built: where its events stand, and where it is broken."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

MOST_EVENTS = 5000

_CALENDAR, _EVENT, _ZONE = b"VCALENDAR", b"VEVENT", b"VTIMEZONE"
_TZID = re.compile(rb';TZID="?([^";:,]+)', re.IGNORECASE)
_MOST_ZONES = 50
_LONGEST_ZONE = 100
_LONGEST_KEPT = 4096
"""Bytes of a line that matter here: what is asked of one stands at its beginning."""


class FileBroken(ValueError):
    """With a stable code and the line, counted from 1, at which it shows."""

    def __init__(self, code: str, line: int) -> None:
        super().__init__(code)
        self.code = code
        self.line = line


@dataclass(frozen=True, slots=True)
class Layout:
    """Lines are counted from 1."""

    lines: Mapping[str, int]
    """Where the first part of each event stands, by the id under which it is read."""
    foreign_zones: Mapping[str, int]
    """Zones that the file uses and does not define, and where it first does."""


@dataclass(slots=True)
class _Event:
    line: int
    uid: str = ""
    day: str = ""


class _Line(NamedTuple):
    number: int
    name: bytes
    """With its parameters."""
    value: bytes


@dataclass(slots=True)
class _Reading:
    stack: list[bytes] = field(default_factory=list)
    event: _Event | None = None
    event_count: int = 0
    lines: dict[str, int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    defined: set[str] = field(default_factory=set)

    def begin(self, kind: bytes, number: int) -> None:
        if not self.stack and kind != _CALENDAR:
            raise FileBroken("NOT_A_CALENDAR", number)
        self.stack.append(kind)
        if self.stack == [_CALENDAR, _EVENT]:
            self.event = _Event(number)
            self.event_count += 1
            if self.event_count > MOST_EVENTS:
                raise FileBroken("TOO_MANY_EVENTS", number)

    def end(self, kind: bytes, number: int) -> None:
        if not self.stack or self.stack.pop() != kind:
            raise FileBroken("NOT_BALANCED", number)
        if self.event is not None and len(self.stack) == 1:
            id_ = self.event.uid or f"without-uid-{self.event.day}"
            self.lines.setdefault(id_, self.event.line)
            self.event = None

    def read(self, line: _Line) -> None:
        name = line.name.partition(b";")[0].upper()
        if self.event is not None and len(self.stack) == 2:
            if name == b"UID" and not self.event.uid:
                self.event.uid = line.value.decode(errors="replace").strip()
            elif name == b"DTSTART" and not self.event.day:
                self.event.day = line.value[:8].decode(errors="replace")
        if name == b"TZID" and self.stack[-1:] == [_ZONE]:
            self.defined.add(line.value.decode(errors="replace").strip())
        elif (
            self.event is not None
            and len(self.used) < _MOST_ZONES
            and (zone := _TZID.search(line.name))
        ):
            self.used.setdefault(_zone(zone[1]), line.number)


def layout_of(text: bytes) -> Layout:
    """Raises FileBroken for what is no calendar file, or no whole one, or has no events."""
    reading, last = _Reading(), 1
    for line in _unfolded(text):
        last = line.number
        name = line.name.strip().upper()
        if name == b"BEGIN":
            reading.begin(line.value.strip().upper(), last)
        elif name == b"END":
            reading.end(line.value.strip().upper(), last)
        elif not reading.stack:
            raise FileBroken("NOT_A_CALENDAR", last)
        else:
            reading.read(line)
    if reading.stack:
        raise FileBroken("CUT_OFF", last)
    if not reading.lines:
        raise FileBroken("NO_EVENTS", last)
    foreign = {zone: at for zone, at in reading.used.items() if zone not in reading.defined}
    return Layout(reading.lines, foreign)


def _unfolded(text: bytes) -> Iterator[_Line]:
    number, line = 0, bytearray()
    for at, each in enumerate(text.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        if each[:1] in (b" ", b"\t") and line:
            if len(line) < _LONGEST_KEPT:
                line += each[1 : _LONGEST_KEPT + 1]
            continue
        if line.strip():
            yield _parted(number, bytes(line))
        number, line = at, bytearray(each)
    if line.strip():
        yield _parted(number, bytes(line))


def _parted(number: int, line: bytes) -> _Line:
    # A quoted parameter may hold a colon; what is asked for here is in names before any such.
    name, _, value = line.partition(b":")
    return _Line(number, name, value)


def _zone(name: bytes) -> str:
    return name.decode(errors="replace").strip()[:_LONGEST_ZONE]
