"""Events into effects: one transaction for the inbox row and what the handler writes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from shared.database_trouble import is_passing, is_undone, undone_pause
from shared.db import Connection, Database
from shared.messaging import inbox, metrics
from shared.messaging.failures import reason_of
from shared.messaging.handlers import AllTogether, Handler, InHand
from shared.messaging.liveness import DatabaseLiveness
from shared.messaging.stopping import is_stray
from shared.observability import logger, within
from shared.observability.trace import current

_UNDONE_TRIES = 5
_PASSING_TRIES = 3
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0
_STEPS = 5


class HandlingFailed(Exception):
    """The handler cannot do it now; the message says why, without personal data."""


class GaveBack(Exception):
    """The message was not handled because this consumer is stopping or has lost the broker."""


class Handling:
    """Applies events for one consumer."""

    def __init__(
        self,
        consumer: str,
        handlers: Mapping[str, Handler],
        database: Database,
        *,
        timeout: float,
        batch_timeout: float,
    ) -> None:
        self._consumer = consumer
        self._handlers = handlers
        self._database = database
        self._timeout = timeout
        self._batch_timeout = batch_timeout
        self._liveness = DatabaseLiveness(database, consumer)

    async def together(self, taken: Sequence[InHand[Any]]) -> bool:
        """All of them in one transaction; False, and nothing done, when that does not work."""
        try:
            async with asyncio.timeout(self._batch_timeout):
                await self._apply(taken)
        except (Exception, asyncio.CancelledError) as error:
            if not isinstance(error, Exception) and not is_stray(error):
                raise
            logger.info("batch_split", size=len(taken), failure=type(error).__name__)
            return False
        return True

    async def alone(self, taken: InHand[Any], pause: Callable[[float], Awaitable[None]]) -> None:
        """Returns when the effect is committed; raises HandlingFailed when it cannot be.

        While the database is away this waits, through ``pause``, which may raise to give up.
        """
        undone = passing = 0
        while True:
            try:
                await self._within_limit(taken)
            except HandlingFailed:
                raise
            except Exception as error:
                if is_undone(error) and undone < _UNDONE_TRIES:
                    undone += 1
                    await pause(undone_pause(undone))
                elif is_passing(error) and passing < _PASSING_TRIES:
                    passing += 1
                    logger.warning("database_trouble", failure=reason_of(error))
                    await pause(_FIRST_PAUSE)
                    await self.wait_for_database(pause)
                else:
                    logger.warning("handler_failed", type=taken.event.type, exc_info=error)
                    raise HandlingFailed(reason_of(error)) from error
            else:
                return

    async def _within_limit(self, taken: InHand[Any]) -> None:
        """The handler's time runs only while the database answers: an outage is not its fault."""
        work = asyncio.create_task(self._apply([taken]))
        spent, step = 0.0, self._timeout / _STEPS
        try:
            while not (await asyncio.wait({work}, timeout=step))[0]:
                if await self._liveness.ask():
                    spent += step
                if spent >= self._timeout:
                    raise HandlingFailed(f"not done within {self._timeout:g} s")
        finally:
            work.cancel()
            await asyncio.wait({work})
        if work.cancelled():
            raise HandlingFailed("the handler has cancelled itself")
        work.result()

    async def _apply(self, taken: Sequence[InHand[Any]]) -> None:
        async with self._database.transaction() as connection:
            events = [each.event for each in taken]
            fresh = await inbox.remember(connection, self._consumer, events)
            news = []
            for each in taken:
                if each.event.id in fresh:
                    fresh.discard(each.event.id)
                    news.append(each)
                else:
                    metrics.DUPLICATES.labels(self._consumer).inc()
            for handler, alike in groupby(news, key=self._handler):
                await _hand_over(handler, connection, list(alike))

    def _handler(self, taken: InHand[Any]) -> Handler:
        return self._handlers[taken.event.type]

    async def wait_for_database(self, pause: Callable[[float], Awaitable[None]]) -> None:
        """Returns when the database answers; ``pause`` may raise to give up."""
        if await self._liveness.ask():
            return
        logger.warning("consumer_waits_for_database", queue=self._consumer)
        seconds = _FIRST_PAUSE
        while not await self._liveness.ask():
            await pause(seconds)
            seconds = min(seconds * 2, _LONGEST_PAUSE)
        logger.info("consumer_goes_on", queue=self._consumer)


async def _hand_over(
    handler: Handler, connection: Connection, alike: Sequence[InHand[Any]]
) -> None:
    if isinstance(handler, AllTogether):
        # A trace shows the statements once. Their failure is not that message's alone.
        shown = next((each for each in alike if each.context.is_sampled), alike[0])
        token = current.set(shown.context)
        try:
            await handler.handle(connection, alike)
        finally:
            current.reset(token)
        return
    for each in alike:
        with within(each.context):
            await handler(connection, each.event)
