"""The notifications API. Wiring only: ``uvicorn --factory notifications.app:make_app``."""

from fastapi import FastAPI

from notifications import routes
from notifications.settings import NotificationsSettings
from shared.app import create_app, process_settings


def make_app(settings: NotificationsSettings | None = None) -> FastAPI:
    """The app for ``settings``, which come from the environment when not given."""
    return create_app(
        settings or process_settings("notifications", NotificationsSettings),
        service="notifications",
        title="Notifications",
        description="Tells patients and providers what happens to their appointments.",
        routers=[routes.router],
    )
