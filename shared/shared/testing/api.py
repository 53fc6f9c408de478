"""A service's API in the test's own process: real routes, real database, no socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from shared.http import ASGITransport, AsyncClient


@asynccontextmanager
async def client_of(app: FastAPI, *, token: str | None = None) -> AsyncIterator[AsyncClient]:
    """A client of the started ``app``; with ``token``, one that shows it on every request."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        app.router.lifespan_context(app),
        AsyncClient(
            transport=ASGITransport(app, raise_app_exceptions=False),
            base_url="http://api.test",
            headers=headers,
        ) as client,
    ):
        yield client
