"""One person's calendars at the double, with their history of changes."""

import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

Json = dict[str, Any]
_WHOLE = timedelta(days=1)


@dataclass
class Recurrence:
    """Every ``every`` days at the same local time, ``count`` times."""

    every: int
    count: int
    deleted: set[date] = field(default_factory=set)
    moved: dict[date, Json] = field(default_factory=dict)
    """Exceptions by their original day: fields that differ, ``start`` and ``end`` among them."""


@dataclass
class Event:
    id: str
    fields: Json
    """As Graph shows them; ``start`` and ``end`` are aware datetimes in ``zone``."""
    zone: str
    """A Windows name."""
    change_key: int
    created_at: datetime
    properties: dict[str, str] = field(default_factory=dict)
    recurrence: Recurrence | None = None

    @property
    def etag(self) -> str:
        return f'W/"{self.change_key}"'

    def spans(self) -> Iterator[tuple[date, Json]]:
        """Each occurrence's original day, and what it says."""
        start, end = self.fields["start"], self.fields["end"]
        if self.recurrence is None:
            yield start.date(), self.fields
            return
        local = start.astimezone(zone(self.zone))
        for number in range(self.recurrence.count):
            day = local.date() + timedelta(days=number * self.recurrence.every)
            if day in self.recurrence.deleted:
                continue
            begin = datetime.combine(day, local.time(), zone(self.zone)).astimezone(UTC)
            plain = {**self.fields, "start": begin, "end": begin + (end - start)}
            yield day, {**plain, **self.recurrence.moved.get(day, {})}

    def touches(self, window: tuple[datetime, datetime]) -> bool:
        return any(
            each["start"] < window[1] and each["end"] > window[0] for _, each in self.spans()
        )


@dataclass
class Calendar:
    id: str
    name: str
    can_edit: bool = True
    is_default: bool = False
    events: dict[str, Event] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    """Ids of what has changed, in order."""
    said: dict[str, list[Json]] = field(default_factory=dict)
    """What the last delta said of an event, to be replayed."""


class Mailbox:
    """Changes are made by its owner (``add``, ``change`` …) or through the API; either is told."""

    def __init__(self, now: Callable[[], datetime], on_change: Callable[..., None]) -> None:
        self.id = secrets.token_hex(8)
        self.name = f"{self.id}@clinic.example"
        self.calendars: dict[str, Calendar] = {}
        self.transactions: dict[str, tuple[Calendar, Event]] = {}
        self._now = now
        self._on_change = on_change
        self._keys = itertools.count(1)
        self.default = self.add_calendar("Calendar", is_default=True)

    def add_calendar(self, name: str, **options: Any) -> Calendar:
        calendar = Calendar(f"AQMk{secrets.token_hex(12)}=", name, **options)
        self.calendars[calendar.id] = calendar
        return calendar

    def add(
        self,
        start: datetime,
        length: timedelta = timedelta(minutes=30),
        *,
        calendar: Calendar | None = None,
        windows_zone: str = "UTC",
        recurrence: Recurrence | None = None,
        properties: dict[str, str] | None = None,
        **fields: Any,
    ) -> Event:
        event = Event(
            id=f"AAkA{secrets.token_hex(16)}=",
            fields={
                "subject": "Something private",
                "isAllDay": False,
                "showAs": "busy",
                "isCancelled": False,
                "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
                "sensitivity": "normal",
                "body": {"contentType": "html", "content": "<html></html>"},
                "location": {"displayName": ""},
                "transactionId": None,
                "start": start,
                "end": start + length,
                **fields,
            },
            zone=windows_zone,
            change_key=next(self._keys),
            created_at=self._now(),
            properties=properties or {},
            recurrence=recurrence,
        )
        into = calendar or self.default
        into.events[event.id] = event
        self._note(into, event, "created")
        return event

    def add_days(self, first: date, days: int = 1, **options: Any) -> Event:
        """An event of whole days."""
        start = datetime.combine(first, time.min, UTC)
        return self.add(start, days * _WHOLE, isAllDay=True, **options)

    def change(self, event: Event, **fields: Any) -> None:
        event.fields.update(fields)
        self._changed(event)

    def delete_occurrence(self, event: Event, day: date) -> None:
        assert event.recurrence is not None
        event.recurrence.deleted.add(day)
        self._changed(event)

    def move_occurrence(self, event: Event, day: date, start: datetime, **fields: Any) -> None:
        assert event.recurrence is not None
        length = event.fields["end"] - event.fields["start"]
        event.recurrence.moved[day] = {"start": start, "end": start + length, **fields}
        self._changed(event)

    def delete(self, event: Event) -> None:
        calendar = self.calendar_of(event)
        del calendar.events[event.id]
        self._note(calendar, event, "deleted")

    def calendar_of(self, event: Event) -> Calendar:
        return next(each for each in self.calendars.values() if event.id in each.events)

    def find(self, event_id: str) -> Event | None:
        for calendar in self.calendars.values():
            if event_id in calendar.events:
                return calendar.events[event_id]
        return None

    def busy(
        self, window: tuple[datetime, datetime], *, tentative: bool = True
    ) -> set[tuple[datetime, datetime]]:
        """The truth: when its owner is busy in the default calendar, all-day events aside."""
        found = set()
        for event in self.default.events.values():
            if event.properties or event.fields["isAllDay"]:
                continue
            for _, each in event.spans():
                is_free = each["showAs"] in ("free", "workingElsewhere") or each["isCancelled"]
                is_declined = each["responseStatus"]["response"] == "declined"
                is_left_out = each["showAs"] == "tentative" and not tentative
                is_near = each["start"] < window[1] and each["end"] > window[0]
                if is_near and not (is_free or is_declined or is_left_out):
                    found.add((each["start"].astimezone(UTC), each["end"].astimezone(UTC)))
        return found

    def _changed(self, event: Event) -> None:
        event.change_key = next(self._keys)
        self._note(self.calendar_of(event), event, "updated")

    def _note(self, calendar: Calendar, event: Event, how: str) -> None:
        calendar.history.append(event.id)
        self._on_change(self, calendar, event, how)


def zone(windows_name: str) -> ZoneInfo:
    """A zone that somebody has made up has a name that nobody else knows."""
    is_made_up = windows_name.startswith("tzone:")
    return ZoneInfo("UTC" if is_made_up else WINDOWS_TO_OLSON.get(windows_name, windows_name))
