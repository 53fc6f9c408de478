"""Statements as steps of whatever runs them: what is done to which table, never the text."""

import re
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.observability import TraceContext, step
from shared.observability.trace import Attributes, Kind, begin_step

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

# A lock (FOR UPDATE) and an upsert (DO UPDATE) are parts of other statements.
_WRITING = re.compile(
    r"\b(INSERT INTO|(?<!FOR )(?<!DO )UPDATE|DELETE FROM)\s+(?:ONLY\s+)?([a-z_][a-z_0-9]*)",
    re.IGNORECASE,
)
# What is read from a function, or out of a moment, is no table.
_READING = re.compile(r"\bFROM\s+(?:ONLY\s+)?([a-z_][a-z_0-9]*)\b(?!\s*\()", re.IGNORECASE)
_POSTGRESQL: Attributes = {"db.system.name": "postgresql"}
_VERB = re.compile(
    r"SELECT|WITH|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SET|NOTIFY|LISTEN|LOCK|SHOW",
    re.IGNORECASE,
)


class TracedConnection(_Connection):
    """For ``connection_class``, where somebody records."""

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        if query.startswith("BEGIN"):
            # It waits for nothing, and would be a fifth of all spans.
            return await super().execute(query, *args, **options)
        with statement(query):
            return await super().execute(query, *args, **options)

    async def executemany(self, command: str, *args: Any, **options: Any) -> None:
        with statement(command):
            await super().executemany(command, *args, **options)

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        with statement(query):
            return await super().fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        with statement(query):
            return await super().fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        with statement(query):
            return await super().fetchval(query, *args, **options)


def statement(query: str) -> AbstractContextManager[TraceContext]:
    return step(*_told(query))


def _told(query: str) -> tuple[str, Kind, Attributes]:
    return summary(query), "client", _POSTGRESQL


def trace_statements(engine: AsyncEngine) -> None:
    """The same for what SQLAlchemy prepares, which does not pass the connection's own methods."""

    def begins(_: Any, __: Any, text: str, ___: Any, context: Any, ____: bool) -> None:
        context.span = begin_step(*_told(text))

    def ends(_: Any, __: Any, ___: str, ____: Any, context: Any, _____: bool) -> None:
        if context.span is not None:
            context.span.end()

    def fails(failure: Any) -> None:
        span = getattr(failure.execution_context, "span", None)
        if span is not None:
            span.fail(type(failure.original_exception).__name__)
            span.end()

    event.listen(engine.sync_engine, "before_cursor_execute", begins)
    event.listen(engine.sync_engine, "after_cursor_execute", ends)
    event.listen(engine.sync_engine, "handle_error", fails)


@lru_cache(maxsize=1024)
def summary(query: str) -> str:
    """``UPDATE appointments``: the first table that it writes, else the first that it reads."""
    text = " ".join(query.split())
    if found := _WRITING.search(text):
        return f"{found[1].split()[0].upper()} {found[2]}"
    verb = found[0].upper() if (found := _VERB.match(text)) else "STATEMENT"
    if verb in ("SELECT", "WITH") and (source := _READING.search(text)):
        return f"SELECT {source[1]}"
    return verb
