"""One process's way to its PostgreSQL database.

Routes use an ORM session (``Transaction``, ``Reading``). Message handlers, timers and the routes
where SQLAlchemy's 0.6 ms a request would be felt use asyncpg (``SqlTransaction``, ``SqlReading``).
Either way one request, one message or one tick is one transaction, opened and closed here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, Self, TypeAlias
from uuid import UUID

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy
from fastapi import Depends, Request
from prometheus_client import Counter, Gauge
from sqlalchemy import MetaData, QueuePool
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from shared.observability.trace import is_recorded
from shared.relay_alarm import RelayAlarm
from shared.traced_connection import TracedConnection, trace_statements

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

OUTBOX_CHANNEL = "outbox"

_NAMING = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}

_SERVER_SETTINGS = {
    "timezone": "UTC",
    "jit": "off",
    "lock_timeout": "5s",
    "statement_timeout": "15s",
    # A crashed or stuck process keeps a row, a claim or an idempotency key locked no longer.
    "idle_in_transaction_session_timeout": "10s",
}

_NO_SETTINGS: Mapping[str, str] = {}
_ACQUIRE_TIMEOUT = 10.0

_CONNECTIONS = Gauge(
    "database_connections",
    "Connections to the database, by the pool they are in: asyncpg's or SQLAlchemy's.",
    ["pool", "state"],
)
_MOST_CONNECTIONS = Gauge("database_connections_limit", "How many each pool may have.")
_NONE_FREE = Counter(
    "database_connections_refused_total", "Who has waited in vain for a connection."
)

_when_committed: dict[Connection, list[Callable[[], None]]] = {}


def new_metadata() -> MetaData:
    """For the declarative base of one service: tables of its own, constraints with names."""
    return MetaData(naming_convention=_NAMING)


def after_commit(connection: Connection, action: Callable[[], None]) -> None:
    """Run ``action`` when the transaction that is open here has committed, else never.

    At once outside of ``transaction_on``, where each statement commits by itself. For what must be
    true before it is told, such as counters; it must not fail.
    """
    waiting = _when_committed.get(connection)
    if waiting is None:
        action()
    else:
        waiting.append(action)


@asynccontextmanager
async def transaction_on(connection: Connection) -> AsyncIterator[None]:
    """A transaction of this connection, which has none open."""
    _when_committed[connection] = waiting = list[Callable[[], None]]()
    try:
        async with connection.transaction():
            yield
    finally:
        del _when_committed[connection]
    for action in waiting:
        action()


class NoConnection(TimeoutError):
    """None came free, or could be made, in time; under load: more is asked than they can carry."""


class Database:
    """An asyncpg pool and an ORM engine over the same database, opened and closed together."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        engine: AsyncEngine,
        url: str,
        patience: float,
    ) -> None:
        self.pool = pool
        self._patience = patience
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)
        self._readings = async_sessionmaker(engine.execution_options(postgresql_readonly=True))
        self._alarm = RelayAlarm(url, OUTBOX_CHANNEL)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        *,
        application_name: str,
        pool_size: int = 10,
        server_settings: Mapping[str, str] = _NO_SETTINGS,
        patience: float = _ACQUIRE_TIMEOUT,
    ) -> AsyncIterator[Self]:
        """Connections are made when needed, so a process starts while its database is away.

        Nobody waits longer than ``patience`` seconds for one of them.
        """
        settings = {**_SERVER_SETTINGS, "application_name": application_name, **server_settings}
        kind: Any = TracedConnection if is_recorded() else asyncpg.Connection
        engine = create_async_engine(
            url.replace("postgresql://", "postgresql+asyncpg://", 1),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=patience,
            connect_args={"server_settings": settings, "timeout": 5, "connection_class": kind},
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
        )
        if is_recorded():
            trace_statements(engine)
        pool = asyncpg.create_pool(
            url,
            min_size=0,
            max_size=pool_size,
            timeout=5,
            command_timeout=20,
            connection_class=kind,
            server_settings=settings,
            init=_register_codecs,
            reset=_keep_session,
        )
        database = cls(await pool, engine, url, patience)
        _show_use(pool, engine, pool_size)
        try:
            yield database
        finally:
            await database._alarm.close()
            try:
                await asyncio.wait_for(pool.close(), 5)
            except TimeoutError:
                pool.terminate()
            await engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Commits at the end, then wakes the relay; any exception rolls back."""
        async with self.reading() as connection, transaction_on(connection):
            yield connection
        self.wake_relay()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for single selects: without BEGIN and COMMIT, one round trip each."""
        try:
            connection = await self.pool.acquire(timeout=self._patience)
        except TimeoutError as error:
            _NONE_FREE.inc()
            raise NoConnection from error
        try:
            yield connection
        finally:
            await self.pool.release(connection)

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[Connection]:
        """Like ``reading``, for work that is one writing statement; wakes the relay at the end."""
        async with self.reading() as connection:
            yield connection
        self.wake_relay()

    @asynccontextmanager
    async def orm_transaction(self) -> AsyncIterator[AsyncSession]:
        """Like ``transaction``, with an ORM session."""
        async with self._sessions.begin() as session:
            yield session
        self.wake_relay()

    @asynccontextmanager
    async def orm_reading(self) -> AsyncIterator[AsyncSession]:
        """An ORM session in a READ ONLY transaction: PostgreSQL refuses any write."""
        async with self._readings() as session:
            yield session

    def wake_relay(self) -> None:
        """Tell the relay soon, and at most every 10 ms, that the outbox may hold something new.

        After the commit and throttled, because NOTIFY inside the writing transaction serialises
        commits (measured: 5,000 to 2,250 holds a second).
        """
        self._alarm.ring()


def _show_use(pool: "asyncpg.Pool[asyncpg.Record]", engine: AsyncEngine, limit: int) -> None:
    """A process has one database, so the one opened last is the one that is shown."""
    of_orm = engine.pool
    if not isinstance(of_orm, QueuePool):
        raise TypeError(type(of_orm).__name__)
    used, idle = ("asyncpg", "used"), ("asyncpg", "idle")
    _CONNECTIONS.labels(*used).set_function(lambda: pool.get_size() - pool.get_idle_size())
    _CONNECTIONS.labels(*idle).set_function(pool.get_idle_size)
    _CONNECTIONS.labels("orm", "used").set_function(of_orm.checkedout)
    _CONNECTIONS.labels("orm", "idle").set_function(of_orm.checkedin)
    _MOST_CONNECTIONS.set(limit)


async def _register_codecs(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value, default=_as_json),
        decoder=lambda data: orjson.loads(data[1:]),
    )


def _as_json(value: Any) -> str:
    """asyncpg gives ids as a subclass of UUID, which orjson does not take for one."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(type(value).__name__)


async def _keep_session(_: Any) -> None:
    """Nothing here sets session state outside a transaction, so there is nothing to reset."""


def database_of(request: Request) -> Database:
    """The database that the app opened when it started."""
    database: Database = request.app.state.database
    return database


async def _transaction(request: Request) -> AsyncIterator[AsyncSession]:
    async with database_of(request).orm_transaction() as session:
        yield session


async def _reading(request: Request) -> AsyncIterator[AsyncSession]:
    async with database_of(request).orm_reading() as session:
        yield session


async def _sql_transaction(request: Request) -> AsyncIterator[Connection]:
    async with database_of(request).transaction() as connection:
        yield connection


async def _sql_reading(request: Request) -> AsyncIterator[Connection]:
    async with database_of(request).reading() as connection:
        yield connection


# scope="function": the transaction ends before the answer leaves, so a failed commit is an error
# for the caller. With FastAPI's default scope it would still answer 200.
Transaction = Annotated[AsyncSession, Depends(_transaction, scope="function")]
Reading = Annotated[AsyncSession, Depends(_reading, scope="function")]
SqlTransaction = Annotated[Connection, Depends(_sql_transaction, scope="function")]
SqlReading = Annotated[Connection, Depends(_sql_reading, scope="function")]
