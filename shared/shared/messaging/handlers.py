"""What a service hands to its consumer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from shared.db import Connection
from shared.events.envelope import Event, EventData
from shared.observability import TraceContext, begin
from shared.observability.trace import current

Data = TypeVar("Data", bound=EventData)

Handler: TypeAlias = Callable[[Connection, Event[Any]], Awaitable[None]]
"""Writes the effect of an event. It compares versions itself before it overwrites something."""

Handlers: TypeAlias = Mapping[type[EventData], Handler]
"""Which events a service acts upon, and how."""


@dataclass(frozen=True, slots=True)
class InHand(Generic[Data]):
    """An event, and the span of what is done with it."""

    event: Event[Data]
    context: TraceContext


class AllTogether:
    """A handler that writes the effects of several events in few statements.

    It is given events that came one directly after the other, each at most once, and leaves what
    it would have left had they been given to it one by one, in that order. What it writes for one
    of them it makes ``within`` that one's context. A batch that fails is handled one by one.
    """

    def __init__(
        self, handle: Callable[[Connection, Sequence[InHand[Any]]], Awaitable[None]]
    ) -> None:
        self.handle = handle

    async def __call__(self, connection: Connection, event: Event[Any]) -> None:
        context = current.get() or begin(f"process {event.type}", traceparent=event.traceparent)
        await self.handle(connection, [InHand(event, context)])
