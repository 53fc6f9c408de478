"""The kinds of calendars that this installation can reach."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from calendar_sync.calendars.caldav import CalDav
from calendar_sync.calendars.contract import Kind
from calendar_sync.calendars.expansion import Expander
from calendar_sync.calendars.ics_url import IcsUrl
from calendar_sync.settings import CalendarSyncSettings
from shared.events.calendar import CalendarKind
from shared.outside import Outside


@dataclass(frozen=True, slots=True)
class Kinds:
    """They live as long as the process."""

    outside: Outside
    caldav: CalDav
    ics: IcsUrl

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: CalendarSyncSettings) -> AsyncIterator[Self]:
        async with (
            Outside.open(opened=settings.opened) as outside,
            # A large file takes half a minute, which nobody else should wait for.
            Expander.open() as objects,
            Expander.open() as files,
        ):
            yield cls(outside, CalDav(outside, objects), IcsUrl(outside, files))

    @property
    def by_name(self) -> Mapping[CalendarKind, Kind]:
        kinds: tuple[Kind, ...] = (self.caldav, self.ics)
        return {kind.name: kind for kind in kinds}
