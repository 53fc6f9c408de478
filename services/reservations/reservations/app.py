"""The reservations API. Wiring only: ``uvicorn --factory reservations.app:make_app``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from reservations import exporting, routes
from reservations.clients import Availability, Bookings
from reservations.settings import ReservationsSettings
from shared.app import create_app, process_settings
from shared.auth import ServiceTokens
from shared.inner_calls import InnerCalls


def make_app(settings: ReservationsSettings | None = None) -> FastAPI:
    """The app for ``settings``, which come from the environment when not given."""
    known = settings or process_settings("reservations", ReservationsSettings)

    @asynccontextmanager
    async def other_services(app: FastAPI) -> AsyncIterator[None]:
        tokens = ServiceTokens(known.service_secret.get_secret_value(), "reservations")
        async with (
            InnerCalls.open(
                str(known.availability_url), callee="availability", tokens=tokens
            ) as availability,
            InnerCalls.open(str(known.bookings_url), callee="bookings", tokens=tokens) as bookings,
        ):
            app.state.desk = routes.Desk(
                app.state.database, Availability(availability), Bookings(bookings), known
            )
            yield

    return create_app(
        known,
        service="reservations",
        title="Reservations",
        description="Short-lived tokens with a countdown, each for one held timeslot.",
        routers=[routes.router, exporting.router],
        lifespan_extras=other_services,
    )
