"""The sender: claims due jobs and has them delivered, any number of workers beside each other."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import asyncpg

from notifications import metrics
from notifications.channels import Channel, ChannelDown
from notifications.courier import Courier
from notifications.domain.job import Backoff, Job
from notifications.domain.news import ChannelName
from notifications.jobs import claiming
from notifications.jobs.planning import WAKE_CHANNEL
from notifications.rest import Rest
from shared.database_trouble import DatabaseError, is_passing
from shared.db import Database
from shared.ids import new_id
from shared.messaging.stopping import Stop, run_until_cancelled
from shared.observability import logger, story

_GRACE = 6.0
_FAILURE_PAUSE = 0.5
_PROBE_PAUSE = 5.0
_IN_HAND_FOR_EACH_LINE = 4
"""Two jobs are written, one is on its way, and one is being recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things wait; tests are in a hurry."""

    poll: float = 1.0
    lease: timedelta = timedelta(seconds=15)
    contact_pause: timedelta = timedelta(seconds=30)
    backoff: Backoff = field(default_factory=Backoff)


class Sender:
    """``run()`` it in every worker; cancel it to stop it: what is on its way is ended first, and
    what has not left yet is given to others at once."""

    def __init__(
        self,
        *,
        database: Database,
        database_url: str,
        channels: Iterable[Channel],
        most_at_once: int,
        pace: Pace | None = None,
    ) -> None:
        """Channels that are not given are off: their jobs go over the next one that the recipient
        allows, or wait until they are useless.

        ``database_url`` must lead to PostgreSQL itself, not to a pooler of transactions.
        """
        self._database = database
        self._database_url = database_url
        self._channels = {channel.name: channel for channel in channels}
        self._rests = {name: Rest() for name in self._channels}
        self._off = [each.value for each in ChannelName if each not in self._channels]
        self._most = most_at_once * _IN_HAND_FOR_EACH_LINE
        self._pace = pace or Pace()
        self._id = new_id()
        self._courier = Courier(
            worker=self._id,
            database=database,
            channels=self._channels,
            backoff=self._pace.backoff,
            contact_pause=self._pace.contact_pause,
            most_at_once=most_at_once,
        )
        self._in_hand: dict[asyncio.Task[None], UUID] = {}
        self._wake = asyncio.Event()
        self._stop = Stop()

    async def run(self) -> None:
        """Send until cancelled; outages of the database and of channels are waited out."""
        await run_until_cancelled(self._work(), self._request_stop, grace=_GRACE)

    def _request_stop(self) -> None:
        self._stop.request()
        self._wake.set()

    async def _work(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen())
                group.create_task(self._keep_leases())
                await self._dispatch(group)
                await self._hand_back()
        finally:
            for channel in self._channels.values():
                await channel.close()

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        while not self._stop.requested:
            self._wake.clear()
            try:
                jobs = await self._claim()
            except (*DatabaseError, OSError) as error:
                await self._wait_out(error)
                continue
            for job in jobs:
                task = group.create_task(self._carry(job))
                self._in_hand[task] = job.id
                task.add_done_callback(self._put_down)
                # Those on their way are not kept waiting until all of these are written.
                await asyncio.sleep(0)
            await self._wait_for_work()

    async def _hand_back(self) -> None:
        waiting = self._courier.begin_nothing(self._in_hand.values())
        if not waiting:
            return
        try:
            async with self._database.autocommit() as db:
                await claiming.hand_back(db, self._id, waiting)
        except (*DatabaseError, OSError) as error:
            # Their leases run out.
            logger.warning("sender_lost_database", failure=type(error).__name__)

    async def _claim(self) -> list[Job]:
        free = self._most - len(self._in_hand)
        channels = [name for name, rest in self._rests.items() if rest.is_over]
        if not free or not (channels or self._off):
            return []
        async with self._database.autocommit() as db:
            jobs = await claiming.claim(
                db,
                self._id,
                channels=channels,
                off=self._off,
                limit=free,
                lease=self._pace.lease,
            )
        for job in jobs:
            metrics.LATE.labels(job.channel).observe((job.now - job.due_at).total_seconds())
        return jobs

    def _put_down(self, task: asyncio.Task[None]) -> None:
        del self._in_hand[task]
        # Not for each one, so that under load many jobs are claimed together.
        if len(self._in_hand) <= self._most // 2:
            self._wake.set()

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(self._pace.poll):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _carry(self, job: Job) -> None:
        told = {"medic.notification.kind": job.kind, "medic.notification.channel": job.channel}
        with story(f"notify {job.channel}", attributes=told, traceparent=job.traceparent):
            try:
                await self._deliver(job)
            except Exception as error:  # noqa: BLE001 -- the outermost of this job
                # The lease runs out, and the job is taken up again.
                logger.error("delivery_crashed", job_id=str(job.id), kind=job.kind, exc_info=error)

    async def _deliver(self, job: Job) -> None:
        rest = self._rests.get(job.channel) or Rest()
        try:
            await self._courier.deliver(job)
        except ChannelDown as down:
            if rest.begin():
                metrics.CHANNEL_DOWN.labels(job.channel).inc()
                logger.warning("channel_down", channel=job.channel, failure=str(down))
            async with self._database.autocommit() as db:
                await claiming.give_back(
                    db, self._id, job.id, reason=f"{job.channel} is down: {down}"
                )
        else:
            rest.end()

    async def _keep_leases(self) -> None:
        while not self._stop.requested:
            await self._stop.pause(self._pace.lease.total_seconds() / 3)
            if not self._in_hand:
                continue
            try:
                async with self._database.autocommit() as db:
                    await claiming.renew(
                        db, self._id, self._in_hand.values(), lease=self._pace.lease
                    )
            except (*DatabaseError, OSError) as error:
                await self._wait_out(error)

    async def _listen(self) -> None:
        """Wake up when a transaction has planned jobs; a lost call only costs the next poll."""
        while not self._stop.requested:
            try:
                await self._listen_on_one_connection()
            except (*DatabaseError, OSError) as error:
                await self._wait_out(error)

    async def _listen_on_one_connection(self) -> None:
        connection = await asyncpg.connect(
            self._database_url,
            timeout=5,
            command_timeout=5,
            server_settings={"application_name": "notifications sender"},
        )
        try:
            await connection.add_listener(WAKE_CHANNEL, lambda *_: self._wake.set())
            # Nobody heard the call of what was planned before.
            self._wake.set()
            while not self._stop.requested:
                await connection.execute("SELECT 1")
                await self._stop.pause(_PROBE_PAUSE)
        finally:
            connection.terminate()

    async def _wait_out(self, error: Exception) -> None:
        if not is_passing(error):
            raise error
        logger.warning("sender_lost_database", failure=type(error).__name__)
        await self._stop.pause(_FAILURE_PAUSE)
