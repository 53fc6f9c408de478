"""A history without fault, for tests to break it."""

import pytest

from tests.torture.made_up import MadeUp, moved

OTHER_STAFF = "another unit"


@pytest.fixture
def run() -> MadeUp:
    """A few appointments with a life of their own, all of it right."""
    made = MadeUp(capacity=2)
    made.confirmed(patient="ann", hour=1)
    made.confirmed(patient="ben", hour=1, resource=OTHER_STAFF)
    ended = made.confirmed(patient="cleo", hour=2)
    ended.becomes("cancelled", "cancelled_by_patient")
    made.confirmed(patient="dan", hour=2)
    moved(made, made.confirmed(patient="eve", hour=3), hour=4)
    released = made.hold(patient="fay", hour=5)
    released.becomes("cancelled", "hold_released", cancellation={"cause": "hold_released"})
    return made
