"""The availability API. Wiring only: ``uvicorn --factory availability.app:make_app``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from availability.answers import Answers
from availability.learning import Memory
from availability.routes import (
    appointment_types,
    availability,
    exceptions,
    locations,
    providers,
    resources,
    schedule,
    search,
    time_off,
    timeslots,
)
from shared.app import create_app, process_settings
from shared.settings import ServiceSettings


def make_app(settings: ServiceSettings | None = None) -> FastAPI:
    """The app for ``settings``, which come from the environment when not given."""

    @asynccontextmanager
    async def memory(app: FastAPI) -> AsyncIterator[None]:
        app.state.memory = Memory()
        app.state.answers = Answers()
        yield

    return create_app(
        settings or process_settings("availability", ServiceSettings),
        service="availability",
        title="Availability",
        description="What providers set up, and the timeslots that come of it.",
        routers=[  # those that are asked most come first
            availability.router,
            search.of_provider,
            search.of_all,
            providers.router,
            locations.router,
            appointment_types.router,
            resources.router,
            schedule.router,
            exceptions.router,
            time_off.router,
            timeslots.router,
        ],
        lifespan_extras=memory,
        # The statement that reads a situation takes longer to plan than to run, and PostgreSQL
        # would plan it again for each request of a provider with many bookings (measured: 0.9 ms
        # against 0.25 ms).
        database_settings={"plan_cache_mode": "force_generic_plan"},
    )
