"""What the rules of a booking allow, and what they cost."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from bookings.domain import decisions, policy
from bookings.domain.appointment import SYSTEM, Actor, ActorType
from bookings.domain.lifecycle import Action, Status
from bookings.domain.options import allowed_actions

from .builders import NOW, an_appointment, some_terms

START = NOW + timedelta(days=7)
PATIENT = Actor(ActorType.PATIENT, uuid4())
PROVIDER = Actor(ActorType.PROVIDER, uuid4())


@pytest.mark.parametrize(
    ("minutes_before", "fee"),
    [(24 * 60 + 1, 0), (24 * 60, 2000), (60, 2000), (1, 2000)],
)
def test_cancelling_is_free_until_its_hour_and_costs_the_fee_after(
    minutes_before: int, fee: int
) -> None:
    refund = policy.cancel(
        an_appointment(start=START), by=PATIENT, now=START - timedelta(minutes=minutes_before)
    )

    assert (refund.fee_cents, refund.refund_cents) == (fee, 5000 - fee)


def test_the_fee_is_never_more_than_the_price() -> None:
    terms = some_terms(price_cents=1000, fee_cents=900, fee_percent=50)

    assert policy.late_fee_cents(terms) == 1000


def test_a_fee_of_the_whole_price_refunds_nothing() -> None:
    appointment = an_appointment(start=START, terms=some_terms(fee_cents=0, fee_percent=100))

    refund = policy.cancel(appointment, by=PATIENT, now=START - timedelta(hours=1))

    assert (refund.refundable, refund.fee_cents, refund.refund_cents) == (False, 5000, 0)


@pytest.mark.parametrize("by", [PROVIDER, SYSTEM])
def test_the_provider_cancels_at_no_cost_to_the_patient(by: Actor) -> None:
    refund = policy.cancel(an_appointment(start=START), by=by, now=START + timedelta(minutes=5))

    assert (refund.fee_cents, refund.refund_cents) == (0, 5000)


@pytest.mark.parametrize(
    ("by", "action", "cause"),
    [
        (ActorType.PATIENT, Action.CANCELLED_BY_PATIENT, "patient"),
        (ActorType.PROVIDER, Action.CANCELLED_BY_PROVIDER, "provider"),
        (ActorType.ADMIN, Action.CANCELLED_BY_SYSTEM, "system"),
        (ActorType.SYSTEM, Action.CANCELLED_BY_SYSTEM, "system"),
    ],
)
@pytest.mark.parametrize("status", [Status.PENDING, Status.CONFIRMED])
def test_everybody_with_a_part_in_it_cancels_under_their_own_name(
    by: ActorType, action: Action, cause: str, status: Status
) -> None:
    appointment = an_appointment(start=START, status=status, pending_expires_at=START)

    ending = decisions.cancel(appointment, by=Actor(by, uuid4()), now=NOW)

    assert (ending.action, ending.cause, ending.refund.fee_cents) == (action, cause, 0)


def test_a_percentage_is_added_to_the_fee() -> None:
    terms = some_terms(price_cents=999, fee_cents=100, fee_percent=50, free_until_minutes=60)
    appointment = an_appointment(start=START, terms=terms)

    free = policy.cancel(appointment, by=PATIENT, now=START - timedelta(minutes=61))
    late = policy.cancel(appointment, by=PATIENT, now=START - timedelta(minutes=60))

    assert (free.fee_cents, free.refund_cents) == (0, 999)
    assert (late.fee_cents, late.refund_cents) == (599, 400)


def test_a_request_is_withdrawn_for_free() -> None:
    pending = an_appointment(start=START, status=Status.PENDING, pending_expires_at=START)

    assert policy.cancel(pending, by=PATIENT, now=START - timedelta(minutes=1)).fee_cents == 0


@pytest.mark.parametrize(
    ("now", "rule"),
    [
        (START, "already_started"),
        (START + timedelta(days=1), "already_started"),
        (START - timedelta(minutes=60), "cancellation_cutoff"),
    ],
)
def test_a_patient_who_comes_too_late_is_told_the_rule(now: datetime, rule: str) -> None:
    appointment = an_appointment(start=START, terms=some_terms(cutoff_minutes=60))

    with pytest.raises(policy.AgainstPolicy) as refused:
        policy.cancel(appointment, by=PATIENT, now=now)

    assert refused.value.members["rule"] == rule


@pytest.mark.parametrize(("minutes", "allowed"), [(59, False), (60, True), (61, True)])
def test_minimum_notice(minutes: int, allowed: bool) -> None:
    terms = some_terms(min_notice_minutes=60)

    def check() -> None:
        policy.check_bookable(
            terms, NOW + timedelta(minutes=minutes), timezone="Europe/Athens", now=NOW
        )

    if allowed:
        check()
        return
    with pytest.raises(policy.AgainstPolicy) as refused:
        check()
    assert refused.value.members["minNoticeMinutes"] == 60


def test_without_notice_a_start_that_has_passed_is_still_refused() -> None:
    with pytest.raises(policy.AgainstPolicy):
        policy.check_bookable(some_terms(), NOW, timezone="UTC", now=NOW)


@pytest.mark.parametrize(
    ("start", "allowed"),
    [
        (datetime(2026, 3, 4, 21, 59, tzinfo=UTC), True),  # 23:59 of the last day in Athens
        (datetime(2026, 3, 4, 22, 0, tzinfo=UTC), False),  # midnight of the day after
    ],
)
def test_the_horizon_counts_days_of_the_providers_calendar(start: datetime, allowed: bool) -> None:
    terms = some_terms(max_future_days=2)

    def check() -> None:
        policy.check_bookable(terms, start, timezone="Europe/Athens", now=NOW)

    if allowed:
        check()
        return
    with pytest.raises(policy.AgainstPolicy) as refused:
        check()
    assert refused.value.members["lastDay"] == "2026-03-04"


def test_a_request_never_waits_beyond_its_start() -> None:
    soon = NOW + timedelta(hours=3)

    assert policy.pending_expiry(soon, now=NOW) == soon
    assert policy.pending_expiry(START, now=NOW) == NOW + timedelta(hours=24)


def test_allowed_actions_follow_the_policy() -> None:
    appointment = an_appointment(start=START)

    assert allowed_actions(appointment, by=PATIENT, now=NOW) == ["reschedule", "cancel"]
    assert allowed_actions(appointment, by=PATIENT, now=START) == []
    assert allowed_actions(appointment, by=PROVIDER, now=NOW) == ["reschedule", "cancel"]
    assert {"cancel", "complete", "no_show"} <= set(
        allowed_actions(appointment, by=PROVIDER, now=START)
    )


def test_a_live_hold_can_be_confirmed_by_its_owner_alone() -> None:
    hold = an_appointment(
        start=START, status=Status.HELD, hold_expires_at=NOW + timedelta(minutes=2)
    )

    assert "confirm" in allowed_actions(hold, by=PATIENT, now=NOW)
    assert "confirm" not in allowed_actions(hold, by=PROVIDER, now=NOW)
    assert allowed_actions(hold, by=PATIENT, now=NOW + timedelta(minutes=2)) == []
