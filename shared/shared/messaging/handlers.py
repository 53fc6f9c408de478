"""What a service hands to its consumer."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from shared.db import Connection
from shared.events.envelope import Event, EventData

Handler: TypeAlias = Callable[[Connection, Event[Any]], Awaitable[None]]
"""Writes the effect of an event. It compares versions itself before it overwrites something."""

Handlers: TypeAlias = Mapping[type[EventData], Handler]
"""Which events a service acts upon, and how."""
