"""The calendar-sync API. Wiring only: ``uvicorn --factory calendar_sync.app:make_app``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from calendar_sync.calendars.kinds import Kinds
from calendar_sync.importing import Importer
from calendar_sync.routes import connections, consents, exporting, feeds, imports, webhooks
from calendar_sync.settings import CalendarSyncSettings
from shared.app import create_app, process_settings


def make_app(settings: CalendarSyncSettings | None = None) -> FastAPI:
    """The app for ``settings``, which come from the environment when not given."""
    return create_app(
        settings or process_settings("calendar-sync", CalendarSyncSettings),
        service="calendar-sync",
        title="Calendar sync",
        description="Appointments in people's own calendars.",
        routers=[
            feeds.router,
            connections.router,
            consents.router,
            imports.router,
            webhooks.router,
            exporting.router,
        ],
        lifespan_extras=_kinds,
    )


@asynccontextmanager
async def _kinds(app: FastAPI) -> AsyncIterator[None]:
    app.state.importer = Importer()
    async with Kinds.open(app.state.settings) as kinds:
        app.state.kinds = kinds
        yield
