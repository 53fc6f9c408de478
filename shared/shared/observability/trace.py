"""Which request or message the code that is running belongs to, and the spans that tell of it.

The only hidden context in the project: ids for logs, the outbox and calls to other services. No
decision ever depends on it. Ids are given whether or not anybody records them; who does is
``recording.py``, which alone knows OpenTelemetry's SDK.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol
from uuid import UUID

# https://www.w3.org/TR/trace-context/: version ff and all-zero ids are invalid; what a later
# version appends is ignored.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.{0,200})?"
)
_LONGEST_TRACEPARENT = 256
NOT_SAMPLED, SAMPLED = "00", "01"

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | int
Attributes = Mapping[str, Value]
_NONE: Attributes = {}


class Recorded(Protocol):
    """A span that is being recorded."""

    def tell(self, name: str, value: Value) -> None: ...

    def rename(self, name: str) -> None: ...

    def fail(self, what: str) -> None: ...

    def end(self) -> None: ...


@dataclass(slots=True)
class TraceContext:
    """The ids of one span: of a request, a message, a tick, or a step on its way."""

    trace_id: str
    span_id: str
    flags: str = NOT_SAMPLED
    request_id: str | None = None
    user_id: UUID | None = None
    recorded: Recorded | None = None

    @classmethod
    def of(cls, traceparent: str | None) -> "TraceContext | None":
        """The caller's span; None when it names none that is valid."""
        if traceparent is None or len(traceparent) > _LONGEST_TRACEPARENT:
            return None
        found = _TRACEPARENT.fullmatch(traceparent)
        return cls(found[1], found[2], found[3]) if found else None

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    @property
    def is_sampled(self) -> bool:
        return self.flags != NOT_SAMPLED and int(self.flags, 16) & 1 == 1

    def tell(self, name: str, value: Value) -> None:
        """An attribute; what is not listed in ``attributes.py`` never leaves the process."""
        if self.recorded is not None:
            self.recorded.tell(name, value)

    def fail(self, what: str) -> None:
        """The span tells of a failure; ``what`` is an error's class or a status, never a text."""
        if self.recorded is not None:
            self.recorded.fail(what)

    def end(self, name: str | None = None) -> None:
        """The span is over, and called ``name`` if that is known only now."""
        if self.recorded is not None:
            if name is not None:
                self.recorded.rename(name)
            self.recorded.end()
            self.recorded = None


class Recorder(Protocol):
    """Decides whether spans are recorded, and records them."""

    def begin(
        self, name: str, kind: Kind, attributes: Attributes, caller: TraceContext | None, ours: bool
    ) -> TraceContext:
        """A process's first span in a story; the sampled flag of a caller counts if it is ours."""
        ...

    def step(
        self, name: str, kind: Kind, attributes: Attributes, parent: TraceContext
    ) -> TraceContext:
        """A span below one of this process that is sampled."""
        ...


current: ContextVar[TraceContext | None] = ContextVar("trace_context", default=None)

_recorder: Recorder | None = None
_UNRECORDED = nullcontext(TraceContext("0" * 32, "0" * 16))


@contextmanager
def recorded_by(recorder: Recorder) -> Iterator[None]:
    """Inside, spans of this process are recorded."""
    global _recorder
    before, _recorder = _recorder, recorder
    try:
        yield
    finally:
        _recorder = before


def is_recorded() -> bool:
    """Whether somebody records the spans of this process."""
    return _recorder is not None


def begin(
    name: str,
    kind: Kind = "internal",
    attributes: Attributes = _NONE,
    *,
    traceparent: str | None = None,
    ours: bool = True,
) -> TraceContext:
    """A span that continues the trace of ``traceparent``, or begins one; its owner ends it.

    Whether it is sampled is the caller's word only if the caller is one of ``ours``.
    """
    caller = TraceContext.of(traceparent)
    if _recorder is not None:
        return _recorder.begin(name, kind, attributes, caller, ours)
    span_id = os.urandom(8).hex()
    if caller is None:
        return TraceContext(os.urandom(16).hex(), span_id)
    return TraceContext(caller.trace_id, span_id, caller.flags if ours else NOT_SAMPLED)


@contextmanager
def within(context: TraceContext) -> Iterator[TraceContext]:
    """What runs inside belongs to that span, which goes on after it."""
    token = current.set(context)
    try:
        yield context
    except BaseException as error:
        context.fail(type(error).__name__)
        raise
    finally:
        current.reset(token)


@contextmanager
def story(
    name: str,
    kind: Kind = "internal",
    attributes: Attributes = _NONE,
    *,
    traceparent: str | None = None,
) -> Iterator[TraceContext]:
    """What runs inside belongs to the story of ``traceparent``, or begins one."""
    context = begin(name, kind, attributes, traceparent=traceparent)
    try:
        with within(context):
            yield context
    finally:
        context.end()


def step(
    name: str, kind: Kind = "internal", attributes: Attributes = _NONE
) -> AbstractContextManager[TraceContext]:
    """A span below the one that is running; costs nothing where that one is not recorded."""
    context = begin_step(name, kind, attributes)
    return _UNRECORDED if context is None else _Step(context)


def begin_step(
    name: str, kind: Kind = "internal", attributes: Attributes = _NONE
) -> TraceContext | None:
    """Likewise for whoever cannot wrap it in a block, and ends it."""
    here = current.get()
    if _recorder is None or here is None or not here.is_sampled:
        return None
    return _recorder.step(name, kind, attributes, here)


class _Step:
    """As ``within``, and the span ends with it; a class, because there are many of them."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: TraceContext) -> None:
        self._context = context

    def __enter__(self) -> TraceContext:
        self._token = current.set(self._context)
        return self._context

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        current.reset(self._token)
        if kind is not None:
            self._context.fail(kind.__name__)
        self._context.end()


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
