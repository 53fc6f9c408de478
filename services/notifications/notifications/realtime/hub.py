"""Brings the history's new messages to the clients that are connected to this process.

Every copy of the API reads the same history, woken by PostgreSQL's NOTIFY and, should one be lost,
by its own clock; so ids and order are the same everywhere, and the broker's outages lose nothing.
"""

import asyncio
import random
import re
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Self, TypeAlias
from uuid import UUID

import asyncpg
from prometheus_client import Counter, Gauge

from notifications.realtime import connections, history
from notifications.realtime.clients import Client
from notifications.realtime.messages import Message
from notifications.realtime.telling import WAKE_CHANNEL
from shared.database_trouble import DatabaseError, is_passing
from shared.db import Database
from shared.errors import TooMany, Unavailable
from shared.observability import logger

_CONNECTED = Gauge("realtime_connections", "Clients that are connected to this process.")
_SENT = Counter("realtime_messages_sent", "Messages handed to clients of this process.")
_SLOW = Counter("realtime_slow_clients", "Clients let go because they did not read.")

_Listening: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_POSITION = re.compile(r"[0-9]{1,18}")
_FAILURE_PAUSE = 0.5
_NUMBERS = 2**53


class TooManyConnections(TooMany):
    code = "too_many_connections"
    title = "This user has too many streams open"


def too_many_connections(most: int) -> TooManyConnections:
    return TooManyConnections(f"{most} streams are open; close one of them", retry_after=5)


@dataclass(frozen=True, slots=True)
class Limits:
    """In seconds, and how many connections."""

    poll: float = 1.0
    """After a lost call, the history is looked at so often."""
    keep: float = 10.0
    """So often a copy says that it lives."""
    heartbeat: float = 15.0
    longest: float = 3600.0
    """After it a client has to show anew who it is."""
    of_one_user: int = 10
    of_this_process: int = 5000


@dataclass(frozen=True, slots=True)
class Began:
    """How a stream begins: ``ready``, or ``resync`` for a client that has missed what nobody knows
    any more; then what it has missed."""

    event: str
    position: int
    channels: Sequence[str]
    missed: Sequence[Message]


class Hub:
    """One in each API process; ``position`` is how far it has read."""

    def __init__(self, database: Database, database_url: str, limits: Limits) -> None:
        self.limits = limits
        self.position = 0
        self._database = database
        self._database_url = database_url
        self._copy: int | None = None
        self._clients: dict[int, Client] = {}
        self._ended: list[int] = []
        self._watchers: defaultdict[str, set[Client]] = defaultdict(set)
        self._wake = asyncio.Event()
        self._ready = asyncio.Event()
        self._is_closing = False

    @classmethod
    @asynccontextmanager
    async def open(
        cls, database: Database, database_url: str, limits: Limits
    ) -> AsyncIterator[Self]:
        hub = cls(database, database_url, limits)
        task = asyncio.create_task(hub._run(), name="realtime")
        try:
            yield hub
        finally:
            hub.close()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await hub._leave()

    @property
    def copy(self) -> int:
        """This process among all copies of the API."""
        if self._copy is None or self._is_closing:
            raise Unavailable("streams are not ready; try again shortly")
        return self._copy

    @property
    def connected(self) -> int:
        return len(self._clients)

    async def connect(self) -> Client:
        """A new client, which watches nothing yet. Raises Unavailable when it is full here."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ready.wait(), 2)
        if self.connected >= self.limits.of_this_process:
            raise Unavailable("too many streams are open", retry_after=random.randint(5, 15))  # noqa: S311
        _ = self.copy
        client = Client(secrets.randbelow(_NUMBERS) + 1, self.position)
        self._clients[client.number] = client
        _CONNECTED.set(self.connected)
        return client

    async def enter(self, client: Client, user_id: UUID) -> None:
        """Count the client as this user's. Raises TooManyConnections."""
        async with self._database.transaction() as db:
            is_in = await connections.enter(
                db, user_id, self.copy, client.number, most=self.limits.of_one_user
            )
        if not is_in:
            raise too_many_connections(self.limits.of_one_user)

    def watch(self, client: Client, channels: Collection[str]) -> None:
        for channel in channels:
            self._watchers[channel].add(client)
        client.channels.update(channels)

    async def watch_since(self, client: Client, channels: Sequence[str], last: str | None) -> Began:
        """Watch, and get what came after the event ``last``; between the two nothing is lost."""
        self.watch(client, channels)
        client.after = self.position
        if last is None:
            return Began("ready", client.after, channels, ())
        missed = history.NOT_KNOWN
        if _POSITION.fullmatch(last):
            since = int(last)
            async with self._database.reading() as db:
                missed = await history.missed(db, channels, since=since, until=client.after)
        if not missed.is_complete:
            return Began("resync", client.after, channels, ())
        # Another copy may have been ahead of this one.
        client.after = max(client.after, since)
        return Began("ready", since if missed.messages else client.after, channels, missed.messages)

    def unwatch(self, client: Client, channels: Iterable[str]) -> None:
        for channel in list(channels):
            watchers = self._watchers[channel]
            watchers.discard(client)
            if not watchers:
                del self._watchers[channel]
            client.channels.discard(channel)

    def disconnect(self, client: Client) -> None:
        """Forget the client; doing so twice is no harm."""
        if self._clients.pop(client.number, None) is None:
            return
        if client.is_too_slow:
            _SLOW.inc()
        client.end()
        self.unwatch(client, client.channels)
        self._ended.append(client.number)
        self._wake.set()
        _CONNECTED.set(self.connected)

    def close(self) -> None:
        """Say good-bye to all, so that they connect elsewhere; lets nobody in any more."""
        self._is_closing = True
        self._end_all()

    async def _run(self) -> None:
        while True:
            try:
                await self._read()
            except Exception as error:  # noqa: BLE001 -- the outermost loop: streams hang on it
                if is_passing(error):
                    logger.warning("realtime_lost_database", failure=type(error).__name__)
                else:
                    logger.error("realtime_failed", exc_info=error)
                await asyncio.sleep(_FAILURE_PAUSE)

    async def _read(self) -> None:
        connection = await asyncpg.connect(
            self._database_url,
            timeout=5,
            command_timeout=10,
            server_settings={"application_name": "notifications realtime"},
        )
        try:
            await connection.add_listener(WAKE_CHANNEL, lambda *_: self._wake.set())
            await self._begin(connection)
            kept_at = asyncio.get_running_loop().time()
            while True:
                self._wake.clear()
                while messages := await history.after(connection, self.position):
                    self._deliver(messages)
                    await asyncio.sleep(0)
                await self._forget_ended(connection)
                if asyncio.get_running_loop().time() >= kept_at + self.limits.keep:
                    kept_at = asyncio.get_running_loop().time()
                    await self._keep(connection)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.limits.poll):
                        await self._wake.wait()
        finally:
            connection.terminate()

    async def _begin(self, connection: _Listening) -> None:
        is_first = self._copy is None
        await self._keep(connection)
        if is_first or await history.has_forgotten(connection, self.position):
            self._end_all()
            self.position = await history.newest_position(connection)
        self._ready.set()

    async def _keep(self, connection: _Listening) -> None:
        if self._copy is not None and await connections.keep(connection, self._copy, self._clients):
            return
        # New, or taken for dead: then the clients here are counted no more.
        self._end_all()
        self._copy = await connections.join(connection)

    def _end_all(self) -> None:
        for client in list(self._clients.values()):
            client.end()

    def _deliver(self, messages: Iterable[Message]) -> None:
        sent = 0
        for message in messages:
            for client in tuple(self._watchers.get(message.channel, ())):
                client.offer(message)
                sent += 1
            self.position = message.position
        _SENT.inc(sent)

    async def _forget_ended(self, connection: _Listening) -> None:
        if self._ended and self._copy is not None:
            ended, self._ended = self._ended, []
            await connections.end(connection, self._copy, ended)

    async def _leave(self) -> None:
        """Whoever connects to another copy at once is not counted twice."""
        if self._copy is not None:
            with suppress(*DatabaseError, OSError):
                async with self._database.transaction() as db:
                    await connections.leave(db, self._copy)
