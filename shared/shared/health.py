"""``/healthz``, ``/readyz`` and ``/metrics``, alike for APIs and workers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from aio_pika.abc import AbstractConnection
from prometheus_client import Gauge
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.database_trouble import DatabaseError
from shared.db import Database
from shared.messaging.broker import (
    BrokerUnavailable,
    broker_errors,
    close_connection,
    open_connection,
)
from shared.observability import metrics_response

_TIMEOUT = 2.0

_ANSWERS = Gauge(
    "readiness_need_answers",
    "1 when what the process needs has answered its last probe, else 0.",
    ["need"],
)


class Readiness:
    """Whether the database and the broker answer at this moment."""

    def __init__(self, database: Database, amqp_url: str, name: str) -> None:
        self._database = database
        self._amqp_url = amqp_url
        self._name = name
        self._connection: AbstractConnection | None = None
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, database: Database, amqp_url: str, *, name: str) -> AsyncIterator[Self]:
        readiness = cls(database, amqp_url, name)
        try:
            yield readiness
        finally:
            await readiness._disconnect()

    async def check(self) -> dict[str, bool]:
        """What this process needs, and whether it answers; takes two seconds at most."""
        async with self._one_at_a_time:
            database, broker = await asyncio.gather(
                self._database_answers(), self._broker_answers()
            )
        answers = {"database": database, "broker": broker}
        for need, does_answer in answers.items():
            _ANSWERS.labels(need).set(does_answer)
        return answers

    async def _database_answers(self) -> bool:
        try:
            async with asyncio.timeout(_TIMEOUT), self._database.reading() as connection:
                await connection.execute("SELECT 1")
        except (*DatabaseError, OSError):
            return False
        return True

    async def _broker_answers(self) -> bool:
        try:
            with broker_errors("probe"):
                async with asyncio.timeout(_TIMEOUT):
                    await self._ask_broker()
        except BrokerUnavailable:
            await self._disconnect()
            return False
        return True

    async def _ask_broker(self) -> None:
        # One connection for all probes: opening one for each would fill the broker's log.
        if self._connection is None or self._connection.is_closed:
            self._connection = await open_connection(
                self._amqp_url, name=f"{self._name} readiness", timeout=_TIMEOUT
            )
        channel = await self._connection.channel()
        await channel.close()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await close_connection(connection)


def health_routes(readiness: Readiness) -> list[Route]:
    """The routes that every process serves for whoever watches over it."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        answers = await readiness.check()
        return JSONResponse(answers, status_code=200 if all(answers.values()) else 503)

    async def metrics(_: Request) -> Response:
        return metrics_response()

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]
