"""The notifications API. Wiring only: ``uvicorn --factory notifications.app:make_app``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from notifications.letters import LetterWriter
from notifications.pages import UnsubscribePages
from notifications.realtime import routes as realtime
from notifications.realtime.pusher import routes as pusher
from notifications.realtime.serving import serve_realtime
from notifications.routes import (
    deliveries,
    devices,
    exporting,
    inbox,
    preferences,
    schedules,
    templates,
    twilio,
    unsubscribe,
)
from notifications.settings import NotificationsSettings
from notifications.webhooks import routes as webhooks
from shared.app import create_app, process_settings
from shared.outside import Outside, opened_hosts


def make_app(settings: NotificationsSettings | None = None) -> FastAPI:
    """The app for ``settings``, which come from the environment when not given."""
    return create_app(
        settings or process_settings("notifications", NotificationsSettings),
        service="notifications",
        title="Notifications",
        description="Tells patients and providers what happens to their appointments.",
        routers=[
            deliveries.router,
            preferences.router,
            schedules.router,
            unsubscribe.router,
            inbox.router,
            devices.router,
            templates.router,
            twilio.router,
            exporting.router,
            realtime.router,
            pusher.router,
            webhooks.of_providers,
            webhooks.of_the_clinic,
        ],
        lifespan_extras=_resources,
    )


@asynccontextmanager
async def _resources(app: FastAPI) -> AsyncIterator[None]:
    settings: NotificationsSettings = app.state.settings
    app.state.unsubscribe_pages = UnsubscribePages()
    app.state.letter_writer = LetterWriter(settings.public_origin)
    opened = opened_hosts(settings.webhook_opened_hosts)
    async with serve_realtime(app), Outside.open(opened=opened) as outside:
        app.state.outside = outside
        yield
