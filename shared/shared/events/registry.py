"""Every event type there is, by its name on the wire."""

from collections.abc import Iterator

from shared.events import (
    availability,
    booking,
    calendar,
    erasure,
    notification,
    patient,
    provider,
    reservation,
)
from shared.events.envelope import EventData

_MODULES = (
    availability,
    booking,
    calendar,
    erasure,
    notification,
    patient,
    provider,
    reservation,
)


def _concrete_events() -> Iterator[type[EventData]]:
    for module in _MODULES:
        for member in vars(module).values():
            if (
                isinstance(member, type)
                and issubclass(member, EventData)
                and "type" in vars(member)
            ):
                yield member


EVENT_TYPES: dict[str, type[EventData]] = {event.type: event for event in _concrete_events()}
