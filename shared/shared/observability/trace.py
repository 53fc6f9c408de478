"""Which request or message the code that is running belongs to.

The only hidden context in the project: ids for logs, the outbox and calls to other services. No
decision ever depends on it.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

# https://www.w3.org/TR/trace-context/: version ff and all-zero ids are invalid; what a later
# version appends is ignored.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.{0,200})?"
)
_LONGEST_TRACEPARENT = 256


@dataclass(slots=True)
class TraceContext:
    """The ids of one request, message or tick."""

    trace_id: str
    traceparent: str
    request_id: str | None = None
    user_id: UUID | None = None

    @classmethod
    def continuing(cls, traceparent: str | None, request_id: str | None = None) -> "TraceContext":
        """A new span of the caller's trace; of a new trace when the caller names none."""
        span_id = os.urandom(8).hex()
        found = None
        if traceparent is not None and len(traceparent) <= _LONGEST_TRACEPARENT:
            found = _TRACEPARENT.fullmatch(traceparent)
        if found is None:
            trace_id, flags = os.urandom(16).hex(), "01"
        else:
            trace_id, flags = found.group(1), found.group(2)
        return cls(trace_id, f"00-{trace_id}-{span_id}-{flags}", request_id)


current: ContextVar[TraceContext | None] = ContextVar("trace_context", default=None)


def current_traceparent() -> str | None:
    """The W3C ``traceparent`` to hand on; None outside of any request, message or tick."""
    context = current.get()
    return context.traceparent if context else None


def current_trace_id() -> str | None:
    """The 32 hex digits that one story has in common in all services."""
    context = current.get()
    return context.trace_id if context else None


def current_request_id() -> str | None:
    """The ``X-Request-Id`` of the request being answered."""
    context = current.get()
    return context.request_id if context else None


def note_user(user_id: UUID) -> None:
    """Name the authenticated user in this request's log lines."""
    context = current.get()
    if context is not None:
        context.user_id = user_id


@contextmanager
def trace_context(traceparent: str | None) -> Iterator[None]:
    """What runs inside belongs to the story of ``traceparent``, or begins one."""
    token = current.set(TraceContext.continuing(traceparent))
    try:
        yield
    finally:
        current.reset(token)
