"""docs/events.md tells the truth: which events exist, who sends them and who listens."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from shared.events.registry import EVENT_TYPES
from shared.messaging.topology import LISTENERS

PAGE = Path(__file__).parents[1] / "docs" / "events.md"
CONSUMERS = {
    "availability": "availability.consumers",
    "bookings": "bookings.consumers",
    "calendar-sync": "calendar_sync.consumers",
    "notifications": "notifications.consumers",
    "notifications-realtime": "notifications.realtime.consumers",
    "reservations": "reservations.consumers",
}

ROW = re.compile(r"^\| `([a-z_]+\.[a-z_]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
NOBODY = "–"


def heard_by(queue: str) -> set[str]:
    """The event types for which the queue's service has a handler."""
    handlers = import_module(CONSUMERS[queue]).HANDLERS
    return {event.type for event in handlers}


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str, str, str]]:
    return ROW.findall(PAGE.read_text())


def test_every_event_has_one_row(rows: list[tuple[str, str, str, str]]) -> None:
    assert [row[0] for row in rows] == sorted(EVENT_TYPES)


def test_every_row_names_the_sender(rows: list[tuple[str, str, str, str]]) -> None:
    documented = {event: f"/{sender}" for event, sender, _, _ in rows}

    assert documented == {event: kind.source for event, kind in EVENT_TYPES.items()}


def test_every_row_names_the_listeners(rows: list[tuple[str, str, str, str]]) -> None:
    documented = {event: listeners for event, _, listeners, _ in rows}
    heard = {queue: heard_by(queue) for queue in sorted(CONSUMERS)}

    assert documented == {
        event: ", ".join(queue for queue in heard if event in heard[queue]) or NOBODY
        for event in EVENT_TYPES
    }


@pytest.mark.parametrize("queue", CONSUMERS)
def test_the_broker_sends_a_service_what_it_handles(queue: str) -> None:
    assert heard_by(queue) == set(LISTENERS[queue])


def test_every_queue_has_a_consumer() -> None:
    assert LISTENERS.keys() == CONSUMERS.keys()
