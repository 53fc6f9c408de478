"""Carries one claimed job from the last look at it to the record of how its delivery ended."""

import asyncio
import random
from collections.abc import Mapping
from datetime import timedelta
from time import perf_counter
from uuid import UUID

from notifications import metrics
from notifications.channels import Channel, Message, Unsendable
from notifications.domain.job import Backoff, JobStatus, Objection, Outcome, objection
from notifications.jobs import sending
from notifications.jobs.sending import Claimed, Delivery
from shared.database_trouble import DatabaseError, is_passing
from shared.db import Database
from shared.observability import logger

_FAILURE_PAUSE = 0.5


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
    ) -> None:
        self._worker = worker
        self._database = database
        self._channels = channels
        self._backoff = backoff
        self._contact_pause = contact_pause

    async def deliver(self, job: Claimed) -> None:
        """Send the job's message, unless there is something against it by now.

        Raises ChannelDown while nothing has happened to the job.
        """
        channel = self._channels[job.channel]
        started = perf_counter()
        async with channel.line() as send:
            message = await self._message(job, channel)
            delivery = message and await self._begin(job, message)
            if not message or not delivery:
                return
            outcome = await send(message)
        await self._record(delivery, outcome)
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

    async def _message(self, claimed: Claimed, channel: Channel) -> Message | None:
        """None when it must not leave; what becomes of the job is settled then."""
        async with self._database.reading() as db:
            job = await sending.look(db, self._worker, claimed.id)
        if job is None:
            return None
        address = channel.address_of(job.recipient) if job.recipient else None
        against = objection(job, address=address)
        if against is None and address is not None:
            try:
                return channel.compose(job, address)
            except Unsendable as error:
                against = Objection(JobStatus.FAILED, str(error))
        if against is not None:
            await self._settle(claimed, against)
        return None

    async def _settle(self, job: Claimed, against: Objection) -> None:
        async with self._database.autocommit() as db:
            await sending.settle(db, self._worker, job.id, against, pause=self._contact_pause)
        logger.info(
            "delivery_not_tried",
            job_id=str(job.id),
            kind=job.kind,
            channel=job.channel,
            status=against.becomes.value,
            why=against.reason,
        )

    async def _begin(self, job: Claimed, message: Message) -> Delivery | None:
        async with self._database.autocommit() as db:
            return await sending.begin_attempt(db, self._worker, job.id, message_id=message.id)

    async def _record(self, delivery: Delivery, outcome: Outcome) -> None:
        """Returns when it is recorded: forgetting it would send the message once more."""
        pause = self._backoff.pause(delivery.attempt, jitter=random.random())  # noqa: S311
        while True:
            try:
                async with self._database.autocommit() as db:
                    await sending.end_attempt(db, self._worker, delivery, outcome, pause=pause)
            except (*DatabaseError, OSError) as error:
                if not is_passing(error):
                    raise
                logger.warning("delivery_record_waits", failure=type(error).__name__)
                await asyncio.sleep(_FAILURE_PAUSE)
            else:
                return
