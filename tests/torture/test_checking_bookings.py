"""Broken promises about claims, holds, crowds and moves."""

from typing import Any

import pytest

from tests.torture.check.checker import check
from tests.torture.check.verdicts import violations
from tests.torture.made_up import PROVIDER, STAFF, MadeUp, broken, moved


def test_two_active_claims_of_one_unit(run: MadeUp) -> None:
    run.confirmed(patient="gus", hour=1)

    assert "claims: none ever overlap on a resource" in broken(run)


def test_more_sessions_than_the_capacity(run: MadeUp) -> None:
    run.confirmed(patient="gus", hour=1, resource="a third unit")

    assert broken(run) == ["claims: capacity N sells N"]


def test_a_move_to_its_own_start_takes_no_second_place(run: MadeUp) -> None:
    run.confirmed(patient="dan", hour=9, resource="another unit")
    moved(run, run.confirmed(patient="gus", hour=9), hour=9)

    assert broken(run) == []


def test_a_move_beside_somebody_takes_a_second_place(run: MadeUp) -> None:
    run.confirmed(patient="gus", hour=9)
    run.confirmed(patient="dan", hour=9, resource="another unit")
    old = run.confirmed(patient="eve", hour=10)
    run.hold(patient="eve", hour=9, resource="a third unit", replaces=old)

    assert broken(run) == ["claims: capacity N sells N"]


def test_a_patient_in_two_places(run: MadeUp) -> None:
    run.confirmed(patient="ann", hour=1, resource="elsewhere")

    assert "claims: nobody is in two places at once" in broken(run)


WON = {"status": 201, "code": "", "busy_with": None}


def busy(appointment: str) -> dict[str, Any]:
    return {"status": 409, "code": "patient_busy", "busy_with": appointment}


@pytest.mark.parametrize("answers", [[WON, WON], [busy("b"), busy("a")]])
def test_two_places_at_once_for_one(run: MadeUp, answers: list[dict[str, Any]]) -> None:
    run.add("torn", patient="ann", appointments=["a", "b"], answers=answers)

    assert broken(run) == ["claims: of two places at once one wins"]


def test_two_places_of_which_one_was_had(run: MadeUp) -> None:
    run.add("torn", patient="ann", appointments=["a", "b"], answers=[WON, busy("a")])

    assert not broken(run)


def test_a_claim_that_outlives_its_appointment(run: MadeUp) -> None:
    ended = next(r for r in run.rows("bookings.appointments") if r["status"] == "cancelled")
    claim = {"appointment_id": ended["id"], "resource_id": STAFF}
    run.rows("bookings.claims").append(claim | {"starts_at": 1.0, "ends_at": 2.0})

    assert "claims: exist exactly while active" in broken(run)


def refused(run: MadeUp, hour: int, *, at: float) -> None:
    start = 1_800_090_000.0 + 3600 * hour
    run.add("slot", id="wanted", start="then", **{"from": start}, to=start + 1800)
    sent = {"timeslotId": "wanted", "providerId": PROVIDER}
    answer = {"code": "slot_taken"}
    run.request("zoe", "/v1/reservations", 409, sent=sent, answer=answer, start=at, end=at + 0.1)


def test_a_refusal_needs_a_rival(run: MadeUp) -> None:
    refused(run, hour=9, at=run.clock)

    assert broken(run) == ["claims: every slot_taken had a rival"]


def test_a_refusal_with_a_rival_is_right(run: MadeUp) -> None:
    refused(run, hour=1, at=run.clock)

    assert not broken(run)


def test_an_expired_hold_is_no_rival(run: MadeUp) -> None:
    run.hold(patient="gus", hour=9, seconds=60)
    refused(run, hour=9, at=run.clock + 70)

    assert "claims: every slot_taken had a rival" in broken(run)


def test_a_hold_confirmed_after_its_end(run: MadeUp) -> None:
    late = run.hold(patient="gus", hour=9, seconds=1)
    run.clock += 5
    late.becomes("confirmed", "confirmed")

    assert broken(run) == ["holds: confirmed before, expired after their end"]


def test_a_hold_expired_before_its_end(run: MadeUp) -> None:
    early = run.hold(patient="gus", hour=9)
    early.becomes("cancelled", "hold_expired", cancellation={"cause": "hold_expired"})

    assert broken(run) == ["holds: confirmed before, expired after their end"]


def test_an_expired_hold_in_the_way_is_about_speed(run: MadeUp) -> None:
    at = run.clock
    run.add("expiry", start=at, end=at + 2.5, appointment="a", booked="b")

    lines = check(run.evidence())

    assert [line.promise for line in violations(lines)] == ["holds: bookable 1 s after expiry"]
    assert not violations(lines, safety_only=True)


@pytest.mark.parametrize("statuses", [[201, 201, 201], [201, 409, 409]])
def test_a_stampede_has_as_many_winners_as_there_is_room(run: MadeUp, statuses: list[int]) -> None:
    rush = {"start": run.clock, "end": run.clock + 1, "provider": PROVIDER, "slot": "s"}
    run.add("stampede", **rush, capacity=2, statuses=statuses)

    assert broken(run) == ["stampede: exactly the capacity wins"]


def test_a_stampede_in_which_somebody_is_not_answered(run: MadeUp) -> None:
    rush = {"start": run.clock, "end": run.clock + 1, "provider": PROVIDER, "slot": "s"}
    run.add("stampede", **rush, capacity=2, statuses=[201, 201, 503])

    assert broken(run) == ["stampede: all answered within 5 s"]


def test_a_move_in_two_transactions(run: MadeUp) -> None:
    moved(run, run.confirmed(patient="gus", hour=9), hour=10, together=False)

    assert "reschedule: exactly one of old and new" in broken(run)


def test_a_move_whose_halves_were_committed_one_by_one(run: MadeUp) -> None:
    moved(run, run.confirmed(patient="gus", hour=9), hour=10)
    for number, audit in enumerate(run.rows("bookings.audit_events")):
        audit["transaction"] = number

    assert broken(run) == ["reschedule: exactly one of old and new"]


def test_a_move_that_leaves_both(run: MadeUp) -> None:
    old = run.confirmed(patient="gus", hour=9)
    new = run.hold(patient="gus", hour=10)
    new.becomes("confirmed", "confirmed", type="booking.rescheduled", rescheduledFrom=old.id)

    assert "reschedule: exactly one of old and new" in broken(run)
