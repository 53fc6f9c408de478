"""The bookings API. Wiring only: ``uvicorn --factory bookings.app:make_app``."""

from fastapi import FastAPI

from bookings.routes import (
    appointments,
    decisions,
    holds,
    lists,
    notes,
    patients,
    provider_bookings,
    reschedule,
)
from shared.app import create_app, process_settings
from shared.settings import ServiceSettings


def make_app(settings: ServiceSettings | None = None) -> FastAPI:
    """The app for ``settings``, which come from the environment when not given."""
    return create_app(
        settings or process_settings("bookings", ServiceSettings),
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
        ],
    )
