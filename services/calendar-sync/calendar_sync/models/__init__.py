"""The tables of the calendar-sync database."""

from calendar_sync.models.appointments import FeedLink, Provider, entries
from calendar_sync.models.connections import (
    busy_spans,
    calendars,
    connections,
    consents,
    external_busy_times,
    external_events,
    push_channels,
    written_events,
)
from calendar_sync.models.imports import calendar_imports
from calendar_sync.models.metadata import Base

__all__ = [
    "Base",
    "FeedLink",
    "Provider",
    "busy_spans",
    "calendar_imports",
    "calendars",
    "connections",
    "consents",
    "entries",
    "external_busy_times",
    "external_events",
    "push_channels",
    "written_events",
]
