"""Which database errors pass by themselves, seen through asyncpg or through SQLAlchemy."""

import random
from collections.abc import Iterator

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

DatabaseError = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    DBAPIError,
)

_UNDONE_PAUSE = 0.025
_SERIALIZATION_FAILURE = "40001"
_DEADLOCK = "40P01"

_PASSING = {
    _SERIALIZATION_FAILURE,
    _DEADLOCK,
    "25006",  # read only: a fail-over is under way
    "25P03",  # idle in transaction for too long
    "55P03",  # lock timeout
    "57014",  # statement timeout
    "57P01",  # shut down by an administrator
    "57P02",  # crash of another backend
    "57P03",  # starting up
}
# Connection lost; a password that is being changed; out of connections, memory or disk.
_PASSING_CLASSES = ("08", "28", "53")


def sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's five-letter code, when it was PostgreSQL who refused."""
    for each in _with_causes(error):
        state = getattr(each, "sqlstate", None)
        if isinstance(state, str):
            return state
    return None


def is_undone(error: BaseException) -> bool:
    """PostgreSQL rolled the transaction back for a rival's sake, or because a migration has changed
    what a prepared statement returns: doing it again may succeed."""
    return isinstance(error, DatabaseError) and (
        sqlstate(error) in {_SERIALIZATION_FAILURE, _DEADLOCK} or _is_outdated(error)
    )


def undone_pause(times: int) -> float:
    """Seconds to wait before doing again what PostgreSQL has undone so many times.

    Whoever has won goes on first: a loser who is back at once takes the lock that the winner has
    not been woken for yet, and both are in each other's way again, a second for each deadlock.
    """
    return _UNDONE_PAUSE * times * random.uniform(1, 2)  # noqa: S311


def is_passing(error: BaseException) -> bool:
    """Nothing is wrong with the request: the same request may succeed a moment later."""
    state = sqlstate(error) if isinstance(error, DatabaseError) else None
    if state is not None:
        known = state in _PASSING or state.startswith(_PASSING_CLASSES)
        return known or _is_outdated(error)
    return any(_is_lost_connection(each) for each in _with_causes(error))


def _is_outdated(error: BaseException) -> bool:
    """A migration has changed what the statement returns; asyncpg has forgotten the old plan."""
    return any(
        isinstance(each, asyncpg.InvalidCachedStatementError) for each in _with_causes(error)
    )


def _is_lost_connection(error: BaseException) -> bool:
    if isinstance(error, PoolTimeout | TimeoutError):
        return True
    if isinstance(error, OSError):
        return error.filename is None  # a socket, not a file
    if isinstance(error, asyncpg.InternalClientError):
        return True  # asyncpg has lost count of a connection that was cut while it was talking
    # asyncpg has no class of its own for these; its other InterfaceErrors are mistakes of ours.
    return isinstance(error, asyncpg.InterfaceError) and "clos" in str(error)


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        original = current.orig if isinstance(current, DBAPIError) else None
        current = original or current.__cause__
