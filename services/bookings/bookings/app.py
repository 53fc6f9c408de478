"""The bookings API. Wiring only: ``uvicorn --factory bookings.app:make_app``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from bookings.clients import Keepers
from bookings.routes import (
    appointments,
    decisions,
    holds,
    lists,
    notes,
    patients,
    personal_data,
    provider_bookings,
    reschedule,
)
from bookings.settings import BookingsSettings
from shared.app import create_app, process_settings


def make_app(settings: BookingsSettings | None = None) -> FastAPI:
    """The app for ``settings``, which come from the environment when not given."""
    return create_app(
        settings or process_settings("bookings", BookingsSettings),
        service="bookings",
        title="Bookings",
        description="Holds, confirms and cancels appointments; its word is final.",
        # Routes are tried in this order, which is that of how often they are called.
        routers=[
            holds.router,
            appointments.router,
            reschedule.router,
            provider_bookings.router,
            decisions.router,
            notes.router,
            lists.router,
            patients.router,
            personal_data.router,
        ],
        lifespan_extras=_keepers,
    )


@asynccontextmanager
async def _keepers(app: FastAPI) -> AsyncIterator[None]:
    async with Keepers.open(app.state.settings) as app.state.keepers:
        yield
