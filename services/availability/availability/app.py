"""The availability API. Wiring only: ``uvicorn --factory availability.app:make_app``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from availability.routes import availability, timeslots
from availability.set_up import SetUps
from shared.app import create_app, process_settings
from shared.settings import ServiceSettings


def make_app(settings: ServiceSettings | None = None) -> FastAPI:
    """The app for ``settings``, which come from the environment when not given."""

    @asynccontextmanager
    async def memory(app: FastAPI) -> AsyncIterator[None]:
        app.state.set_ups = SetUps()
        yield

    return create_app(
        settings or process_settings("availability", ServiceSettings),
        service="availability",
        title="Availability",
        description="What providers set up, and the timeslots that come of it.",
        routers=[availability.router, timeslots.router],
        lifespan_extras=memory,
    )
