"""Carries one claimed job from the last look at it to the record of how its delivery ended."""

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from time import perf_counter
from uuid import UUID

from notifications import devices, metrics
from notifications.channels import Channel, Message, Send, Unsendable
from notifications.domain.job import (
    Backoff,
    DeliveryStatus,
    Job,
    JobStatus,
    Objection,
    Outcome,
    objection,
)
from notifications.jobs import attempts
from notifications.jobs.attempts import Delivery, Ended
from notifications.together import Together
from shared.database_trouble import DatabaseError, is_passing, is_undone, undone_pause
from shared.db import Database
from shared.observability import logger, step

_FAILURE_PAUSE = 0.5
_TOGETHER_PAUSE = 0.005
"""Fewer statements are less work, for PostgreSQL as well, where many messages leave. A message
leaves later by this, and a lost worker's window between "sent" and "recorded" is wider by it."""


class Courier:
    """Holds no transaction and no lock while a message is on its way."""

    def __init__(
        self,
        *,
        worker: UUID,
        database: Database,
        channels: Mapping[str, Channel],
        backoff: Backoff,
        contact_pause: timedelta,
        most_at_once: int,
    ) -> None:
        """``most_at_once`` messages are on their way at the same time; further jobs wait, written
        already, for one of them to end."""
        self._worker = worker
        self._database = database
        self._channels = channels
        self._backoff = backoff
        self._contact_pause = contact_pause
        self._turns = asyncio.Semaphore(most_at_once)
        self._begun: set[UUID] = set()
        self._begins_nothing = False
        self._begin = Together(self._begin_many, pause=_TOGETHER_PAUSE)
        self._end = Together(self._end_many, pause=_TOGETHER_PAUSE)

    def begin_nothing(self, jobs: Iterable[UUID]) -> list[UUID]:
        """From now on no message leaves that is not on its way; returns which of the jobs' are not.

        Those may be given to somebody else.
        """
        self._begins_nothing = True
        return [id_ for id_ in jobs if id_ not in self._begun]

    async def deliver(self, job: Job) -> None:
        """Send the job's message, unless there is something against it by now.

        Raises ChannelDown while nothing has happened to the job.
        """
        channel = self._channels.get(job.channel)
        message = await self._message(job, channel)
        if channel is None or message is None:
            return
        started = perf_counter()
        async with self._turns:
            if self._begins_nothing:
                return
            async with channel.line() as send:
                if self._begins_nothing:
                    return
                self._begun.add(job.id)
                try:
                    delivery = await self._begin((job, message))
                    if delivery is None:
                        return
                    with step(f"send {job.channel}", "client") as span:
                        outcome = await self._send(send, message, delivery)
                        span.tell("medic.delivery.status", outcome.status.value)
                        if outcome.status is not DeliveryStatus.SENT:
                            span.fail(outcome.status.value)
                finally:
                    self._begun.discard(job.id)
        await self._record(delivery, outcome)
        if outcome.dead_devices:
            async with self._database.autocommit() as db:
                await devices.drop(db, outcome.dead_devices)
        metrics.DELIVERIES.labels(job.channel, job.kind, outcome.status).inc()
        logger.info(
            "delivery",
            job_id=str(job.id),
            kind=job.kind,
            channel=job.channel,
            attempt=delivery.attempt,
            status=outcome.status.value,
            ms=round((perf_counter() - started) * 1000, 2),
        )

    async def _send(self, send: Send, message: Message, delivery: Delivery) -> Outcome:
        try:
            return await send(message)
        except asyncio.CancelledError:
            # This worker has no more time. Others shall not have to wait until its lease ends.
            unknown = Outcome(DeliveryStatus.UNKNOWN, "the worker was stopped meanwhile")
            await self._record(delivery, unknown)
            raise

    async def _message(self, job: Job, channel: Channel | None) -> Message | None:
        """None when it must not leave; what becomes of the job is settled then."""
        address = channel.address_of(job) if channel else None
        against = objection(job, address=address, is_on=channel is not None)
        if against is None and channel is not None and address is not None:
            try:
                return channel.compose(job, address)
            except Unsendable as error:
                against = _unsendable(job, error)
        if against is not None:
            await self._settle(job, against)
        return None

    async def _settle(self, job: Job, against: Objection) -> None:
        async with self._database.autocommit() as db:
            await attempts.settle(db, self._worker, job, against, pause=self._contact_pause)
        logger.info(
            "delivery_not_tried",
            job_id=str(job.id),
            kind=job.kind,
            channel=job.channel,
            status=against.becomes.value,
            why=against.reason,
        )

    async def _begin_many(self, messages: Sequence[tuple[Job, Message]]) -> list[Delivery | None]:
        while True:
            try:
                async with self._database.autocommit() as db:
                    return await attempts.begin(db, self._worker, messages)
            except DatabaseError as error:
                # It has lost against an event's transaction, which is over soon.
                if not is_undone(error):
                    raise
                await asyncio.sleep(undone_pause(1))

    async def _end_many(self, ended: Sequence[Ended]) -> list[None]:
        async with self._database.autocommit() as db:
            return await attempts.end(db, self._worker, ended)

    async def _record(self, delivery: Delivery, outcome: Outcome) -> None:
        """Returns when it is recorded: forgetting it would send the message once more."""
        pause = self._backoff.pause(delivery.attempt, jitter=random.random())  # noqa: S311
        ended = Ended(delivery, outcome, max(pause, outcome.retry_after))
        while True:
            try:
                await self._end(ended)
            except (*DatabaseError, OSError) as error:
                if not is_passing(error):
                    raise
                logger.warning("delivery_record_waits", failure=type(error).__name__)
                await asyncio.sleep(_FAILURE_PAUSE)
            else:
                return


def _unsendable(job: Job, error: Unsendable) -> Objection:
    if job.fallback:
        return Objection(becomes=JobStatus.QUEUED, reason=str(error), tries_next_channel=True)
    return Objection(becomes=JobStatus.FAILED, reason=str(error), code="refused")
