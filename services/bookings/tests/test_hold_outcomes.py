"""What has become of a hold, by all that an appointment can be."""

from datetime import UTC, datetime, timedelta

import pytest

from bookings.domain.holds import Outcome, outcome_of
from bookings.domain.lifecycle import Status

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("ends", "outcome"), [(NOW + _MOMENT, Outcome.HELD), (NOW, Outcome.EXPIRED)]
)
def test_a_hold_is_held_until_its_end(ends: datetime, outcome: Outcome) -> None:
    assert outcome_of(Status.HELD, hold_expires_at=ends, cause=None, now=NOW) is outcome


@pytest.mark.parametrize(
    ("cause", "outcome"),
    [
        ("hold_expired", Outcome.EXPIRED),
        ("hold_released", Outcome.RELEASED),
        ("patient", Outcome.USED),
        ("pending_expired", Outcome.USED),
        ("rescheduled", Outcome.USED),
    ],
)
def test_of_what_is_cancelled_the_cause_says_whether_it_was_used(
    cause: str, outcome: Outcome
) -> None:
    found = outcome_of(Status.CANCELLED, hold_expires_at=NOW, cause=cause, now=NOW)

    assert found is outcome


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.HELD, Status.CANCELLED}))
def test_everything_else_was_used(status: Status) -> None:
    assert outcome_of(status, hold_expires_at=None, cause=None, now=NOW) is Outcome.USED
