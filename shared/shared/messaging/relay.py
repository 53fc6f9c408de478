"""The relay: publishes what has been committed to the outbox, in order and at least once.

Of all relays of one database one is active; it holds an advisory lock on the very connection with
which it reads and marks, so it cannot go on without the lock. A position that is committed late is
found, because unpublished rows are looked for, not rows behind the last one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, TypeAlias

import asyncpg
from aio_pika.abc import AbstractConnection

from shared.database_trouble import is_passing
from shared.db import OUTBOX_CHANNEL
from shared.messaging import metrics
from shared.messaging.broker import HEARTBEAT, TIMEOUT, BrokerUnavailable, NotTaken, Unroutable
from shared.messaging.publisher import Outgoing, Publisher
from shared.messaging.stopping import Stop, run_until_cancelled
from shared.messaging.topology import EXCHANGE, LISTENERS, Listeners, declare_listeners
from shared.messaging.wire import CONTENT_TYPE, encode
from shared.observability import TraceContext, begin, logger
from shared.observability.trace import is_recorded

_LOCK = "SELECT pg_try_advisory_lock(hashtext('medic.outbox.relay'))"
_SELECT = """
    SELECT position, id, type, subject, sequence, occurred_at, traceparent, data::text AS data
    FROM outbox WHERE published_at IS NULL AND type <> ALL($2::text[])
    ORDER BY position LIMIT $1
"""
_MARK = "UPDATE outbox SET published_at = clock_timestamp() WHERE position = ANY($1::bigint[])"
_BACKLOG = """
    SELECT count(*) AS backlog,
        coalesce(extract(epoch FROM clock_timestamp() - min(occurred_at)), 0)::float AS oldest
    FROM outbox WHERE published_at IS NULL
"""

_SERVER_SETTINGS = {
    "timezone": "UTC",
    "jit": "off",
    # Losing a mark in a crash of PostgreSQL costs one more delivery, waiting for each costs speed.
    "synchronous_commit": "off",
    # The lock of a relay that hangs, or whose machine is gone, must not hang with it.
    "idle_session_timeout": "30s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}

_BATCH = 200
_STANDBY_PAUSE = 0.5
_FAILURE_PAUSE = 0.5
_PUT_OFF_PAUSE = 2.0
_MEASURE_PAUSE = 5.0
_GRACE = 6.0

_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Relay:
    """``run()`` it in every worker; cancel it to stop it."""

    def __init__(
        self,
        *,
        service: str,
        database_url: str,
        amqp_url: str,
        exchange: str = EXCHANGE,
        listeners: Listeners = LISTENERS,
        poll: float = 1.0,
        timeout: float = TIMEOUT,
        heartbeat: int = HEARTBEAT,
    ) -> None:
        """``database_url`` must lead to PostgreSQL itself, not to a pooler of transactions."""
        self._service = service
        self._database_url = database_url
        self._exchange = exchange
        self._listeners = listeners
        self._listened = {each for types in listeners.values() for each in types}
        self._poll = poll
        self._publisher = Publisher(
            amqp_url,
            name=f"{service} relay",
            heartbeat=heartbeat,
            timeout=timeout,
            prepare=self._declare,
        )
        self._stop = Stop()
        self._wake = asyncio.Event()
        self._limit = _BATCH
        self._put_off: dict[str, float] = {}
        self._measure_at = 0.0
        self._waits_for: str | None = None

    async def run(self) -> None:
        """Publish until cancelled; outages of the database and of the broker are waited out."""
        await run_until_cancelled(self._work(), self._request_stop, grace=_GRACE)

    def _request_stop(self) -> None:
        self._stop.request()
        self._wake.set()

    async def _work(self) -> None:
        try:
            while not self._stop.requested:
                try:
                    await self._session()
                except Exception as error:
                    if not is_passing(error):
                        raise
                    self._tell_once("relay_waits_for_database", type(error).__name__)
                    await self._stop.pause(_FAILURE_PAUSE)
        finally:
            await self._publisher.disconnect()

    async def _session(self) -> None:
        connection = await asyncpg.connect(
            self._database_url,
            timeout=5,
            command_timeout=10,
            server_settings=_SERVER_SETTINGS | {"application_name": f"{self._service} relay"},
        )
        try:
            while not await connection.fetchval(_LOCK):
                await self._measure(connection)
                await self._stop.pause(_STANDBY_PAUSE)
                if self._stop.requested:
                    return
            logger.info("relay_active")
            self._waits_for = None
            metrics.ACTIVE.set(1)
            await connection.add_listener(OUTBOX_CHANNEL, lambda *_: self._wake.set())
            await self._lead(connection)
        finally:
            metrics.ACTIVE.set(0)
            # The lock goes with the connection.
            connection.terminate()

    async def _lead(self, connection: _Connection) -> None:
        with suppress(BrokerUnavailable):
            # The first event need not wait for this, and listeners find their queues.
            await self._publisher.connect()
        while not self._stop.requested:
            self._wake.clear()
            await self._measure(connection)
            if not await self._publish_batch(connection) and not self._stop.requested:
                await self._wait_for_work()

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(self._poll):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _publish_batch(self, connection: _Connection) -> bool:
        """Publish and mark what waits; returns whether more may be waiting already."""
        now = monotonic()
        skipped = [event_type for event_type, until in self._put_off.items() if until > now]
        rows = await connection.fetch(_SELECT, self._limit, skipped)
        if not rows:
            return False
        spans = [self._begin(row) for row in rows] if is_recorded() else [None] * len(rows)
        outcomes = await self._publisher.publish_all(
            [self._message(row, span) for row, span in zip(rows, spans, strict=True)]
        )
        _end(spans, outcomes)
        done = [
            row
            for row, outcome in zip(rows, outcomes, strict=True)
            if outcome is None or (isinstance(outcome, Unroutable) and self._is_unheard(row))
        ]
        if done:
            await connection.execute(_MARK, [row["position"] for row in done])
        full = len(rows) == self._limit
        return await self._learn(rows, outcomes) or full

    def _begin(self, row: asyncpg.Record) -> TraceContext | None:
        """The span of sending it, below what has caused it; None when that is not recorded."""
        cause = TraceContext.of(row["traceparent"])
        if cause is None or not cause.is_sampled:
            return None
        told = {
            "messaging.system": "rabbitmq",
            "messaging.operation.type": "send",
            "messaging.operation.name": "publish",
            "messaging.destination.name": self._exchange,
            "messaging.rabbitmq.destination.routing_key": row["type"],
            "messaging.message.id": str(row["id"]),
        }
        return begin(f"send {row['type']}", "producer", told, traceparent=cause.traceparent)

    def _message(self, row: asyncpg.Record, span: TraceContext | None) -> Outgoing:
        sent = dict(row) | {"traceparent": span.traceparent} if span else row
        return Outgoing(
            exchange=self._exchange,
            routing_key=row["type"],
            body=encode(sent, f"/{self._service}"),
            message_id=str(row["id"]),
            type=row["type"],
            content_type=CONTENT_TYPE,
        )

    def _is_unheard(self, row: asyncpg.Record) -> bool:
        """Nobody is known to listen to this type; for a later listener there is the history."""
        return row["type"] not in self._listened

    async def _learn(self, rows: Sequence[asyncpg.Record], outcomes: Sequence[Any]) -> bool:
        """Count, slow down for what did not go out; returns whether that is to be tried again."""
        lost = next((each for each in outcomes if isinstance(each, BrokerUnavailable)), None)
        not_taken: dict[str, NotTaken] = {}
        for row, outcome in zip(rows, outcomes, strict=True):
            event_type = row["type"]
            if outcome is None:
                metrics.PUBLISHED.labels(event_type).inc()
                self._put_off.pop(event_type, None)
            elif isinstance(outcome, Unroutable) and self._is_unheard(row):
                metrics.UNROUTED.labels(event_type).inc()
            elif isinstance(outcome, NotTaken):
                not_taken[event_type] = outcome
        if not_taken:
            await self._put_types_off(not_taken)
        if lost is None:
            if self._waits_for is not None:
                self._waits_for = None
                logger.info("relay_goes_on")
            self._limit = _BATCH
            return False
        # While the broker is in trouble one message asks whether it is over.
        self._limit = 1
        self._tell_once("relay_waits_for_broker", str(lost))
        await self._stop.pause(_FAILURE_PAUSE)
        return True

    def _tell_once(self, waits_for: str, failure: str) -> None:
        """One line for an outage, however often it is met."""
        if self._waits_for != waits_for:
            self._waits_for = waits_for
            logger.warning(waits_for, failure=failure)

    async def _put_types_off(self, not_taken: Mapping[str, NotTaken]) -> None:
        """Let the other types pass; a listener's queue that is gone is made again at once."""
        gone = any(isinstance(failure, Unroutable) for failure in not_taken.values())
        for event_type, failure in not_taken.items():
            first = event_type not in self._put_off
            if first:
                logger.error("event_not_taken", type=event_type, failure=str(failure))
            pause = 0.0 if first and isinstance(failure, Unroutable) else _PUT_OFF_PAUSE
            self._put_off[event_type] = monotonic() + pause
        if gone:
            # Opening the next connection declares everything anew.
            await self._publisher.disconnect()

    async def _declare(self, connection: AbstractConnection) -> None:
        await declare_listeners(connection, self._exchange, self._listeners)

    async def _measure(self, connection: _Connection) -> None:
        if monotonic() >= self._measure_at:
            self._measure_at = monotonic() + _MEASURE_PAUSE
            row = await connection.fetchrow(_BACKLOG)
            if row is not None:
                metrics.BACKLOG.set(row["backlog"])
                metrics.OLDEST.set(row["oldest"])


def _end(spans: Sequence[TraceContext | None], outcomes: Sequence[Exception | None]) -> None:
    for span, outcome in zip(spans, outcomes, strict=True):
        if span is not None:
            if outcome is not None:
                span.fail(type(outcome).__name__)
            span.end()
