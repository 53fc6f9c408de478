"""What calendar-sync tells about providers' own calendars: when they are busy, and how sure it is.

Each is about one connection, whose versions count through all of them, or about one import.
"""

from abc import ABC
from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.envelope import Deletion, EventData, EventPart, Snapshot

CalendarKind = Literal["google", "microsoft", "caldav", "ics"]


class BusyTime(EventPart):
    external_id: str
    start: datetime
    end: datetime


class CalendarBusyChanged(EventData):
    """Everything that the connection's calendars say is busy and begins from ``start`` to ``end``.

    A connection's time is told in spans whose bounds never change (calendar months in UTC), each
    with its own subject, so that the newest event about every span is all one needs to know.
    ``as_of`` is when the calendars were read.
    """

    type: ClassVar[str] = "calendar.busy_changed"
    source: ClassVar[str] = "/calendar-sync"

    connection_id: UUID
    provider_id: UUID
    version: int
    kind: CalendarKind
    as_of: datetime
    start: datetime
    end: datetime
    busy: list[BusyTime]

    @property
    def subject(self) -> str:
        return f"{self.connection_id}/{self.start:%Y-%m-%dT%H:%MZ}"

    @property
    def sequence(self) -> int:
        return self.version


class CalendarConnectionConnected(Snapshot):
    """The connection works and was read at ``as_of``; told again now and then while that is so."""

    type: ClassVar[str] = "calendar.connection_connected"
    source: ClassVar[str] = "/calendar-sync"

    provider_id: UUID
    kind: CalendarKind
    as_of: datetime


class CalendarConnectionBroken(Snapshot):
    """The connection cannot be read until somebody mends it; what it said last still stands."""

    type: ClassVar[str] = "calendar.connection_broken"
    source: ClassVar[str] = "/calendar-sync"

    provider_id: UUID
    kind: CalendarKind
    reason: str
    """A stable code such as ``access_revoked``."""


class CalendarConnectionDeleted(Deletion):
    """The provider has disconnected it: all it said about busy times is void."""

    type: ClassVar[str] = "calendar.connection_deleted"
    source: ClassVar[str] = "/calendar-sync"

    provider_id: UUID
    kind: CalendarKind


class _AboutEvent(Snapshot, ABC):
    """About the event that stands for an appointment in its provider's calendar."""

    source: ClassVar[str] = "/calendar-sync"

    appointment_id: UUID
    provider_id: UUID
    connection_id: UUID
    kind: CalendarKind
    at: datetime


class CalendarEventWritten(_AboutEvent):
    """The provider's calendar shows the appointment as it is now, or no longer shows it."""

    type: ClassVar[str] = "calendar.event_written"

    action: Literal["created", "updated", "repaired", "removed"]


class CalendarEventFailed(_AboutEvent):
    """The appointment could not be brought into the provider's calendar; it is tried further."""

    type: ClassVar[str] = "calendar.event_failed"

    reason: str
    """A stable code such as ``unreachable``."""


class BlockedTime(EventPart):
    start: datetime
    end: datetime


class CalendarImported(Snapshot):
    """A calendar file was imported, or imported anew: all the times that it blocks.

    They are in order and apart from each other, and stand until the next word about the import.
    """

    type: ClassVar[str] = "calendar.imported"
    source: ClassVar[str] = "/calendar-sync"

    provider_id: UUID
    blocked: list[BlockedTime]


class CalendarImportDeleted(Deletion):
    """The import is taken back: it blocks nothing any more."""

    type: ClassVar[str] = "calendar.import_deleted"
    source: ClassVar[str] = "/calendar-sync"

    provider_id: UUID
