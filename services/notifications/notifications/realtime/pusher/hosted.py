"""Handing our messages on to a hosted Pusher application, in batches, each once if all is well."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import orjson
from prometheus_client import Counter

from notifications.realtime import history
from notifications.realtime.messages import PRIVATE, Message
from notifications.realtime.pusher.application import HostedApplication
from shared.db import Connection, Database
from shared.http import AsyncClient, HTTPError
from shared.ids import new_id
from shared.observability import logger

_PUBLISHED = Counter("realtime_published", "Messages handed on to a hosted Pusher application.")
_MOST_IN_A_BATCH = 10
_LEASE = timedelta(seconds=30)
_PAUSE = timedelta(seconds=5)


class NotPublished(Exception):
    """The other side did not take the batch; says why, without secrets."""


@dataclass(frozen=True, slots=True)
class HostedPusher:
    """Publishes by Pusher's REST API, on private channels."""

    hosted: HostedApplication
    client: AsyncClient

    @property
    def target(self) -> str:
        """A name for how far has been published there."""
        return f"pusher:{self.hosted.application.id}"

    async def publish(self, messages: Sequence[Message]) -> None:
        """Hand on a batch; raises NotPublished."""
        application = self.hosted.application
        path = f"/apps/{application.id}/batch_events"
        body = orjson.dumps(
            {
                "batch": [
                    {
                        "name": message.event,
                        "channel": PRIVATE + message.channel,
                        "data": message.data,
                    }
                    for message in messages
                ]
            }
        )
        try:
            answer = await self.client.post(
                f"{self.hosted.origin}{path}?{application.signed('POST', path, body)}",
                content=body,
                headers={"Content-Type": "application/json"},
            )
        except (HTTPError, OSError) as error:
            raise NotPublished(type(error).__name__) from None
        if answer.status_code != 200:
            raise NotPublished(f"status {answer.status_code}")


class HandingOn:
    """One worker at a time hands on what is new; ``tick`` is a timer's."""

    def __init__(self, database: Database, publisher: HostedPusher) -> None:
        self._database = database
        self._publisher = publisher
        self._id = new_id()

    async def tick(self) -> None:
        """Everything that waits; what cannot be handed on now waits a few seconds."""
        while batch := await self._next():
            try:
                own = [message for message in batch.messages if message.position in batch.own]
                if own:
                    await self._publisher.publish(own)
            except NotPublished as failure:
                logger.warning("realtime_not_published", failure=str(failure))
                await self._done(batch.since, pause=_PAUSE)
                return
            _PUBLISHED.inc(len(own))
            await self._done(batch.messages[-1].position, pause=timedelta())

    async def _next(self) -> "_Batch | None":
        async with self._database.transaction() as db:
            since = await _claim(db, self._publisher.target, self._id)
            if since is None:
                return None
            rows = await history.after(db, since, limit=_MOST_IN_A_BATCH)
            if not rows:
                await _release(db, self._publisher.target, self._id, since, timedelta())
                return None
            own = await history.own(db, [message.position for message in rows])
        return _Batch(since, rows, own)

    async def _done(self, position: int, *, pause: timedelta) -> None:
        async with self._database.transaction() as db:
            await _release(db, self._publisher.target, self._id, position, pause)


@dataclass(frozen=True, slots=True)
class _Batch:
    since: int
    messages: Sequence[Message]
    own: frozenset[int]


async def _claim(db: Connection, target: str, worker: UUID) -> int | None:
    """Up to where messages have been handed on; None while another worker does it, or it rests."""
    await db.execute(
        """
        INSERT INTO realtime_publications (target, position)
        SELECT $1, greatest(forgotten_to, (SELECT max(position) FROM realtime_messages))
        FROM realtime_history ON CONFLICT DO NOTHING
        """,
        target,
    )
    position: int | None = await db.fetchval(
        """
        UPDATE realtime_publications SET locked_by = $2, locked_until = now() + $3::interval
        WHERE target = $1 AND (locked_until IS NULL OR locked_until < now())
        RETURNING position
        """,
        target,
        worker,
        _LEASE,
    )
    return position


async def _release(
    db: Connection, target: str, worker: UUID, position: int, pause: timedelta
) -> None:
    await db.execute(
        """
        UPDATE realtime_publications SET position = $3, locked_by = NULL,
            locked_until = CASE WHEN $4::interval > interval '0' THEN now() + $4::interval END
        WHERE target = $1 AND locked_by = $2
        """,
        target,
        worker,
        position,
        pause,
    )
