"""What a log line tells about an exception: enough to find the fault, nothing that quotes data."""

import traceback
from typing import Any

import asyncpg
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from shared.errors import DomainError

# Their messages speak of the program or the machine. Those of other exceptions may quote what a
# person has entered: PostgreSQL shows the row, pydantic the input, ValueError the value.
_PLAIN_SPOKEN = (
    DomainError,
    OSError,
    TypeError,
    AttributeError,
    NameError,
    ImportError,
    asyncpg.InterfaceError,
)
_DEEPEST_CHAIN = 4
_MOST_FRAMES = 30


def description_of(error: BaseException) -> list[dict[str, Any]]:
    """The exception and what led to it, outermost first."""
    chain: list[dict[str, Any]] = []
    following: BaseException | None = error
    while following is not None and len(chain) < _DEEPEST_CHAIN:
        chain.append(_describe(following))
        following = following.__cause__ or (
            None if following.__suppress_context__ else following.__context__
        )
    return chain


def _describe(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    description: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}"}
    if isinstance(error, _PLAIN_SPOKEN):
        description["says"] = str(error)
    elif isinstance(error, asyncpg.PostgresError):
        description |= {
            "sqlstate": error.sqlstate,
            "table": error.table_name,
            "constraint": error.constraint_name,
        }
    elif isinstance(error, DBAPIError):
        description["sqlstate"] = getattr(error.orig, "sqlstate", None)
    elif isinstance(error, ValidationError):
        description["fields"] = [
            f"{'.'.join(map(str, fault['loc']))}: {fault['type']}"
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    elif isinstance(error, BaseExceptionGroup):
        description["members"] = [_describe(member) for member in error.exceptions]
    frames = traceback.StackSummary.extract(
        traceback.walk_tb(error.__traceback__), limit=-_MOST_FRAMES, lookup_lines=False
    )
    description["where"] = [f"{f.filename}:{f.lineno} {f.name}" for f in frames]
    return description
