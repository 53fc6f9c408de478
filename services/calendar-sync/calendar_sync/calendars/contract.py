"""What calendar-sync wants of every kind of calendar, and the only words it knows them by.

An adapter turns a provider's answers into these values and its refusals into these errors. It
keeps no state of its own and knows neither our database nor our appointments.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol, TypeAlias, runtime_checkable
from uuid import UUID
from zoneinfo import ZoneInfo

from shared.events.calendar import CalendarKind

MARKER = "medic-event"
"""The name of the property in which a provider that has properties keeps an event's key."""

Credentials: TypeAlias = Mapping[str, str]
"""Whatever the adapter needs to come back: kept encrypted, and shown to nobody."""

Save: TypeAlias = Callable[[Credentials], Awaitable[None]]
"""Keeps renewed credentials at once, before they are used for anything."""


# What calendars contain


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCalendar:
    """One calendar of an account; ``id`` never changes, and is the provider's."""

    id: str
    name: str
    timezone: str | None
    """An IANA name, when the provider tells one."""
    is_writable: bool
    is_primary: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """The time that is read: ``[start, end)`` in UTC, on bounds of months."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One time that an event takes, as its provider says it.

    A ``date`` is a day of the calendar's zone, a naive ``datetime`` a local time in it.
    """

    start: datetime | date
    end: datetime | date
    """Exclusive; not after ``start`` for an event without length."""
    is_free: bool = False
    """Marked as taking no time, or of a kind that takes none."""
    is_tentative: bool = False
    is_declined: bool = False
    """By the owner of the calendar."""
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalEvent:
    """What stands in a calendar under one id, whole: what is not in ``occurrences`` is no more.

    A provider that expands series itself gives an event for each instance; where a series is one
    object, its ``occurrences`` are those that touch the window. A deleted one has none.
    """

    id: str
    etag: str | None = None
    uid: str | None = None
    """The iCalendar UID."""
    key: UUID | None = None
    """Of the event of ours that it is, by its marker."""
    occurrences: tuple[Occurrence, ...] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An event that makes no sense; it is skipped, and what it said before stands."""

    id: str
    reason: str
    """A stable code; nothing of the event's content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of what has changed. Ids may come again, in any order; the last word counts."""

    events: Sequence[ExternalEvent]
    unreadable: Sequence[Unreadable] = ()
    cursor: str | None = None
    """From where to go on after this page. The last page always has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OurEvent:
    """An appointment as it is written into a calendar.

    ``key`` stays the same for life, moves included: the provider's id for it, its UID and its
    marker are made of it, so that writing it twice makes one event.
    """

    key: UUID
    uid: str
    start: datetime
    end: datetime
    summary: str
    location: str | None
    description: str | None
    sequence: int
    """Grows with every change, as iCalendar's SEQUENCE."""
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """An event of ours as the provider has it now."""

    id: str
    etag: str | None
    """None when the provider gives none; then it cannot be told from another's change."""


# What can go wrong


class CalendarError(Exception):
    """Something about a calendar that is not as it should be; ``reason`` is a stable code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Temporary(CalendarError):
    """It may work later: no answer, 5xx, 429. ``retry_after`` is the provider's own wish."""

    def __init__(self, reason: str, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class AccessGone(CalendarError):
    """The credentials open nothing any more, and never will again: invalid_grant, 401."""


class NotFound(CalendarError):
    """The calendar is not there (any more)."""


class Refused(CalendarError):
    """The provider will not do this, now or later; asking again makes no sense."""


class CursorGone(CalendarError):
    """The cursor is no longer good: everything must be read anew."""

    def __init__(self, reason: str = "cursor_gone") -> None:
        super().__init__(reason)


class Stale(CalendarError):
    """The event is no longer as it was written: somebody has changed or deleted it."""

    def __init__(self, reason: str = "stale") -> None:
        super().__init__(reason)


# What an adapter does


class Account(Protocol):
    """An open way to one person's calendars. Every method may raise Temporary or AccessGone.

    A call ends within a minute. A 401 is answered by renewing the credentials once, saving them,
    and asking again; only then is it AccessGone.
    """

    async def calendars(self) -> Sequence[RemoteCalendar]:
        """Those that can hold events."""
        ...

    def changes(
        self, calendar_id: str, cursor: str | None, *, window: Window, zone: ZoneInfo
    ) -> AsyncIterator[Page]:
        """What is new since ``cursor``; without one, everything that touches ``window``.

        At least one page, each of a bounded size. ``zone`` is the calendar's, for whatever has to
        be expanded here. A cursor belongs to its window: with another one it is never used again.
        Raises CursorGone at any page, NotFound.
        """
        ...

    async def put(self, calendar_id: str, event: OurEvent, *, etag: str | None) -> Written:
        """Make the event be there as given, once, however often this is called.

        With the ``etag`` of its last writing only if it is still the same, else Stale; without one
        whatever it is now, be it deleted. Raises NotFound (for the calendar), Refused.
        """
        ...

    async def remove(self, calendar_id: str, key: UUID, external_id: str | None) -> None:
        """Make our event be gone; one that is not there is. ``external_id`` is None when it is
        not known whether the event was ever written. Raises Refused."""
        ...

    async def revoke(self) -> None:
        """Give the access back; does nothing where there is nothing to give back."""
        ...


class Kind(Protocol):
    """One way to reach calendars."""

    name: CalendarKind
    is_writable: bool

    def open(self, credentials: Credentials, save: Save) -> AbstractAsyncContextManager[Account]:
        """Costs no request by itself."""
        ...


# Being told of changes, where a provider can


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRequest:
    """A channel to be opened; what is told through it carries ``id`` or the answer's id."""

    id: UUID
    secret: str
    """Comes back with every message: Google's channel token, Graph's clientState."""
    address: str
    """Where messages go; lifecycle messages go to ``{address}/lifecycle``."""
    lasts: timedelta


@dataclass(frozen=True, slots=True)
class Channel:
    """An open one, until ``expires_at`` as the provider granted it."""

    external_id: str
    """Google's resourceId, Graph's subscription id."""
    expires_at: datetime


@runtime_checkable
class PushingAccount(Account, Protocol):
    """An account whose provider can tell of changes."""

    async def open_channel(self, calendar_id: str, wanted: ChannelRequest) -> Channel:
        """Raises Refused where the provider will not tell; it is then only polled."""
        ...

    async def renew_channel(self, channel: Channel, lasts: timedelta) -> Channel | None:
        """None when channels cannot be renewed: another is opened before this one ends."""
        ...

    async def stop_channel(self, channel_id: UUID, external_id: str) -> None:
        """One that is not there any more is stopped."""
        ...
