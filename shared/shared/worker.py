"""A service's background process: relay, consumers and timers, until it is told to stop."""

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Generic, NoReturn, TypeVar

import uvicorn
import uvloop
from prometheus_client import Gauge
from starlette.applications import Starlette

from shared.database_trouble import DatabaseError, is_passing
from shared.db import Connection, Database
from shared.garbage import spare_the_collector
from shared.health import Readiness, health_routes
from shared.messaging.stopping import Stop, run_until_cancelled
from shared.observability import configure_logging, logger, story, watched_event_loop
from shared.observability.exporting import spans_exported
from shared.settings import ServiceSettings

Settings = TypeVar("Settings", bound=ServiceSettings)

Loops = Mapping[str, Callable[[], Awaitable[None]]]
"""By name, what runs until it is cancelled; a cancelled loop first finishes what it has in hand."""

_GRACE = 8.0
_LIMIT = 10
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0

_LAST_RUN = Gauge(
    "timer_last_success_timestamp_seconds", "Unix time of a timer's last run.", ["timer"]
)
_EVERY = Gauge("timer_interval_seconds", "How often a timer runs.", ["timer"])


@dataclass(frozen=True, slots=True)
class Worker(Generic[Settings]):
    """What the loops of a worker are built from."""

    name: str
    settings: Settings
    database: Database
    resources: AsyncExitStack
    """For what else they need open; it is closed after they have ended."""

    def timer(
        self, name: str, every: timedelta, action: Callable[[Connection], Awaitable[bool | None]]
    ) -> Callable[[], Awaitable[None]]:
        """A loop that runs ``action`` in a transaction of its own; see ``Timer``."""
        return Timer(name, every, in_transaction(self.database, action)).run

    def chore(
        self, name: str, every: timedelta, action: Callable[[], Awaitable[object]]
    ) -> Callable[[], Awaitable[None]]:
        """A loop that runs ``action``, which opens its transactions itself."""

        async def once() -> None:
            await action()

        return Timer(name, every, once).run


Build = Callable[[Worker[Settings]], Awaitable[Loops]]


def run_worker(name: str, settings: Settings, build: Build[Settings]) -> NoReturn:
    """Run the loops that ``build`` returns until SIGTERM or SIGINT, and exit.

    A loop that ends by itself ends the whole process with status 1, so that its supervisor starts
    it anew: it would otherwise look healthy and do half of its work.
    """
    configure_logging(f"{name}-worker", settings.log_level)
    try:
        status = uvloop.run(_run(name, settings, build))
    except Exception as error:  # noqa: BLE001 -- the outermost loop
        logger.error("worker_crashed", exc_info=error)
        status = 1
    sys.exit(status)


async def _run(name: str, settings: Settings, build: Build[Settings]) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as resources:
        await resources.enter_async_context(spans_exported(settings, f"{name}-worker"))
        database = await resources.enter_async_context(
            Database.open(
                settings.database_url,
                application_name=f"{name}-worker",
                pool_size=settings.database_pool_size,
            )
        )
        await resources.enter_async_context(watched_event_loop())
        loops = dict(await build(Worker(name, settings, database, resources)))
        if settings.worker_port is not None:
            readiness = await resources.enter_async_context(
                Readiness.open(database, settings.amqp_url, name=f"{name}-worker")
            )
            address = (settings.worker_host, settings.worker_port)
            loops["health"] = _Health(readiness, address).run
        spare_the_collector()
        status = await _run_loops(loops, stop)
    logger.info("worker_stopped", status=status)
    return status


async def _run_loops(loops: Loops, stop: asyncio.Event) -> int:
    tasks = {asyncio.ensure_future(run()): name for name, run in loops.items()}
    stopping = asyncio.ensure_future(_until(stop))
    logger.info("worker_started", loops=sorted(loops))
    ended, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    status = 0
    for task in ended - {stopping}:
        error = None if task.cancelled() else task.exception()
        logger.error("loop_ended", loop=tasks[task], exc_info=error)
        status = 1
    # Whatever hangs now, the process is gone in time for its successor.
    signal.alarm(_LIMIT)
    logger.info("worker_stopping")
    stopping.cancel()
    for task in tasks:
        task.cancel()
    _, late = await asyncio.wait(tasks, timeout=_GRACE)
    for task in late:
        logger.error("loop_did_not_stop", loop=tasks[task])
        task.cancel()
        status = 1
    return status


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()


Tick = Callable[[], Awaitable[bool | None]]
"""True when there is more to do at once."""


def in_transaction(
    database: Database, action: Callable[[Connection], Awaitable[bool | None]]
) -> Tick:
    """``action`` as a tick that commits what it did."""

    async def tick() -> bool | None:
        async with database.transaction() as connection:
            return await action(connection)

    return tick


class Timer:
    """Runs ``tick``, again ``every`` so often after it began, or at once when there is more to do.

    It never meets itself in one process; copies in other processes it does meet. While the database
    is away it waits.
    """

    def __init__(self, name: str, every: timedelta, tick: Tick) -> None:
        self._name = name
        self._every = every.total_seconds()
        self._tick = tick
        self._stop = Stop()
        _EVERY.labels(name).set(self._every)

    async def run(self) -> None:
        """Tick until cancelled; a tick in hand is finished first."""
        await run_until_cancelled(self._ticks(), self._stop.request, grace=_GRACE)

    async def _ticks(self) -> None:
        failures = 0
        while not self._stop.requested:
            began = monotonic()
            try:
                with story("timer", attributes={"medic.timer": self._name}):
                    more = await self._tick()
            except (*DatabaseError, OSError) as error:
                if not is_passing(error):
                    raise
                if failures == 0:
                    logger.warning("timer_waits", timer=self._name, exc_info=error)
                pause = min(_FIRST_PAUSE * 2**failures, _LONGEST_PAUSE)
                failures += 1
            else:
                if failures:
                    logger.info("timer_goes_on", timer=self._name)
                failures = 0
                _LAST_RUN.labels(self._name).set_to_current_time()
                pause = 0 if more else max(self._every - (monotonic() - began), 0)
            await self._stop.pause(pause)


class _Health:
    """Serves the worker's health in the worker's own event loop: a blocked loop fails its probe."""

    def __init__(self, readiness: Readiness, address: tuple[str, int]) -> None:
        self._app = Starlette(routes=health_routes(readiness))
        self._address = address

    async def run(self) -> None:
        with socket.create_server(self._address) as listening:
            logger.info("health_listening", port=self._address[1])
            server = _Server(
                uvicorn.Config(
                    self._app,
                    log_config=None,
                    access_log=False,
                    lifespan="off",
                    timeout_graceful_shutdown=2,
                )
            )

            def request_stop() -> None:
                server.should_exit = True

            await run_until_cancelled(server.serve([listening]), request_stop, grace=_GRACE)


class _Server(uvicorn.Server):
    """Leaves the signals to the worker."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
