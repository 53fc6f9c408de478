"""What FastAPI and asyncpg cost when they do next to nothing: one row by its key, as JSON.

The pool sends no RESET when a connection comes back, as ours does not; with it, a third is lost.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import orjson
from fastapi import FastAPI, Request, Response

ROW = "SELECT name, timezone, language FROM providers WHERE id = $1"


def make_app() -> FastAPI:
    @asynccontextmanager
    async def pool(app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(
            os.environ["DATABASE_URL"], max_size=10, reset=_nothing
        ) as app.state.pool:
            yield

    app = FastAPI(lifespan=pool)

    @app.get("/providers/{provider_id}")
    async def provider(provider_id: UUID, request: Request) -> Response:
        row = await request.app.state.pool.fetchrow(ROW, provider_id)
        return Response(orjson.dumps(dict(row)), media_type="application/json")

    return app


async def _nothing(_: object) -> None:
    pass
