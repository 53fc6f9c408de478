"""A calendar provider in memory that does what real ones do, on good days and on bad ones."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from calendar_sync.calendars.contract import (
    Channel,
    ChannelRequest,
    Credentials,
    CursorGone,
    ExternalEvent,
    Occurrence,
    OurEvent,
    Page,
    Refused,
    RemoteCalendar,
    Save,
    Stale,
    Temporary,
    Unreadable,
    Window,
    Written,
)
from shared.events.calendar import CalendarKind


class Killed(BaseException):
    """The process has died here."""


@dataclass
class Remote:
    """The truth at the provider. Event ids of ours are their keys."""

    name: CalendarKind = "google"
    is_writable: bool = True
    page_size: int = 2
    events: dict[str, dict[str, ExternalEvent]] = field(default_factory=dict)
    changed: list[tuple[str, str]] = field(default_factory=list)
    """Calendar and event id of each change; a cursor is a place in it."""
    unreadable: set[str] = field(default_factory=set)
    faults: list[BaseException] = field(default_factory=list)
    """Raised by the next calls, one each."""
    dies_after_put: bool = False
    gone_at_page: int | None = None
    fault_at_page: int | None = None
    oldest_cursor: int = 0
    reads: int = 0
    full_reads: int = 0
    puts: int = 0
    removed: list[UUID] = field(default_factory=list)
    revoked: int = 0
    at_once: int = 0
    most_at_once: int = 0
    opened_with: list[Credentials] = field(default_factory=list)
    renew: bool = False
    pushes: bool = False
    renews: bool = False
    channels: dict[UUID, tuple[str, ChannelRequest]] = field(default_factory=dict)
    """Open ones, by our ids: the provider's id and what was asked for."""
    refuses_channels: bool = False
    resource_id: str | None = None
    """The provider's id of every channel, where it names the calendar only."""
    channel_lasts: timedelta = timedelta(days=6)
    before_page: asyncio.Event | None = None
    at_page: asyncio.Event = field(default_factory=asyncio.Event)

    def calendar(self, id_: str = "main") -> dict[str, ExternalEvent]:
        return self.events.setdefault(id_, {})

    def set(
        self,
        id_: str,
        start: datetime,
        end: datetime,
        *,
        calendar: str = "main",
        key: UUID | None = None,
        **flags: bool,
    ) -> None:
        """Somebody has put or changed an event there."""
        self.calendar(calendar)[id_] = ExternalEvent(
            id=id_,
            etag=f'"{uuid4()}"',
            key=key,
            occurrences=(Occurrence(start=start, end=end, **flags),),
        )
        self.changed.append((calendar, id_))

    def delete(self, id_: str, *, calendar: str = "main") -> None:
        del self.calendar(calendar)[id_]
        self.changed.append((calendar, id_))

    def ours(self, calendar: str = "main") -> list[ExternalEvent]:
        return [event for event in self.calendar(calendar).values() if event.key is not None]

    @asynccontextmanager
    async def open(self, credentials: Credentials, save: Save) -> AsyncIterator["RemoteAccount"]:
        self.opened_with.append(credentials)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.renew:
                await save({"token": f"{int(credentials['token']) + 1}"})
            yield PushingRemoteAccount(self) if self.pushes else RemoteAccount(self)
        finally:
            self.at_once -= 1


class RemoteAccount:
    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def _meet_fault(self) -> None:
        await asyncio.sleep(0)
        if self._remote.faults:
            raise self._remote.faults.pop(0)

    async def calendars(self) -> Sequence[RemoteCalendar]:
        await self._meet_fault()
        return [
            RemoteCalendar(id=id_, name=id_, timezone="Europe/Athens", is_writable=True)
            for id_ in self._remote.events
        ]

    async def changes(
        self, calendar_id: str, cursor: str | None, *, window: Window, zone: ZoneInfo
    ) -> AsyncIterator[Page]:
        remote = self._remote
        remote.reads += 1
        await self._meet_fault()
        now = len(remote.changed)
        if cursor is None:
            remote.full_reads += 1
            ids = list(remote.calendar(calendar_id))
        else:
            since = int(cursor.removeprefix("at "))
            if since < remote.oldest_cursor:
                raise CursorGone
            ids = [id_ for calendar, id_ in remote.changed[since:] if calendar == calendar_id]
        pages = [ids[at : at + remote.page_size] for at in range(0, len(ids), remote.page_size)]
        for number, page in enumerate(pages or [[]], start=1):
            remote.at_page.set()
            if remote.before_page is not None:
                await remote.before_page.wait()
            if remote.gone_at_page == number and cursor is not None:
                remote.oldest_cursor = now
                raise CursorGone
            if remote.fault_at_page == number:
                raise Temporary("connection_lost")
            is_last = number >= len(pages)
            yield Page(
                events=[
                    remote.calendar(calendar_id).get(id_, ExternalEvent(id=id_))
                    for id_ in page
                    if id_ not in remote.unreadable
                ],
                unreadable=[Unreadable(id_, "odd") for id_ in page if id_ in remote.unreadable],
                cursor=f"at {now}" if is_last else None,
            )

    async def put(self, calendar_id: str, event: OurEvent, *, etag: str | None) -> Written:
        await self._meet_fault()
        remote, id_ = self._remote, str(event.key)
        there = remote.calendar(calendar_id).get(id_)
        if etag is not None and (there is None or there.etag != etag):
            raise Stale
        remote.puts += 1
        remote.set(id_, event.start, event.end, calendar=calendar_id, key=event.key)
        if remote.dies_after_put:
            raise Killed
        return Written(id_, remote.calendar(calendar_id)[id_].etag)

    async def remove(self, calendar_id: str, key: UUID, external_id: str | None) -> None:
        await self._meet_fault()
        self._remote.removed.append(key)
        if str(key) in self._remote.calendar(calendar_id):
            self._remote.delete(str(key), calendar=calendar_id)

    async def revoke(self) -> None:
        await self._meet_fault()
        self._remote.revoked += 1


class PushingRemoteAccount(RemoteAccount):
    async def open_channel(self, calendar_id: str, wanted: ChannelRequest) -> Channel:
        await self._meet_fault()
        remote = self._remote
        if remote.refuses_channels:
            raise Refused("push_not_allowed")
        external_id = remote.resource_id or f"resource-{uuid4()}"
        remote.channels[wanted.id] = (external_id, wanted)
        return Channel(external_id, datetime.now(UTC) + remote.channel_lasts)

    async def renew_channel(self, channel: Channel, lasts: timedelta) -> Channel | None:
        if not self._remote.renews:
            return None
        return Channel(channel.external_id, datetime.now(UTC) + lasts)

    async def stop_channel(self, channel_id: UUID, external_id: str) -> None:
        await self._meet_fault()
        self._remote.channels.pop(channel_id, None)
