"""What routes are given of the process they run in."""

from typing import Annotated

from fastapi import Depends, Request

from calendar_sync.calendars.kinds import Kinds
from calendar_sync.settings import CalendarSyncSettings
from shared.db import Database, database_of


async def _settings(request: Request) -> CalendarSyncSettings:
    settings: CalendarSyncSettings = request.app.state.settings
    return settings


async def _kinds(request: Request) -> Kinds:
    kinds: Kinds = request.app.state.kinds
    return kinds


Settings = Annotated[CalendarSyncSettings, Depends(_settings)]
Db = Annotated[Database, Depends(database_of)]
CalendarKinds = Annotated[Kinds, Depends(_kinds)]
