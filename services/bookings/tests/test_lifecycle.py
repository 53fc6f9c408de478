"""The transition table: what it lists is allowed, and nothing else."""

from itertools import product

import pytest

from bookings.domain.lifecycle import ACTIVE, TRANSITIONS, Action, IllegalTransition, Status, after

TERMINAL = frozenset(Status) - ACTIVE


@pytest.mark.parametrize(("status", "action"), list(product(Status, Action)))
def test_only_listed_moves_are_possible(status: Status, action: Action) -> None:
    if (status, action) in TRANSITIONS:
        assert after(status, action) is TRANSITIONS[status, action]
        return

    with pytest.raises(IllegalTransition) as refused:
        after(status, action)

    assert refused.value.code == "invalid_transition"


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_nothing_leads_out_of_an_ended_appointment(status: Status) -> None:
    assert not [action for source, action in TRANSITIONS if source is status]


def test_the_three_ends_are_completed_cancelled_and_no_show() -> None:
    assert {Status.COMPLETED, Status.CANCELLED, Status.NO_SHOW} == TERMINAL


def test_every_end_can_be_reached() -> None:
    assert {target for target in TRANSITIONS.values() if target in TERMINAL} == TERMINAL
