"""The checker finds each broken promise in a small history, and nothing in one without fault."""

from typing import Any

import pytest

from tests.torture.bugs import BUGS
from tests.torture.check.checker import check
from tests.torture.check.verdicts import table, violations
from tests.torture.made_up import BEGAN, PROVIDER, STAFF, MadeUp
from tests.torture.plan import planned

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


def moved(run: MadeUp, old: Any, *, hour: int, together: bool = True) -> Any:
    """The appointment that replaces the old one, in one transaction or in two."""
    new = run.hold(patient=old.row["patient_id"], hour=hour)
    cause = {"cancellation": {"cause": "rescheduled"}, "rescheduledTo": new.id}
    old.becomes("cancelled", "rescheduled", **cause)
    new.becomes(
        "confirmed",
        "confirmed",
        type="booking.rescheduled",
        rescheduledFrom=old.id,
        later=not together,
    )
    return new


def broken(run: MadeUp) -> list[str]:
    return [line.promise for line in violations(check(run.evidence()))]


def test_nothing_is_found_in_a_history_without_fault(run: MadeUp) -> None:
    lines = check(run.evidence())

    assert not violations(lines), table(lines)
    assert {line.verdict() for line in lines} == {"ok", "not seen"}


def test_two_active_claims_of_one_unit(run: MadeUp) -> None:
    run.confirmed(patient="gus", hour=1)

    assert "claims: none ever overlap on a resource" in broken(run)


def test_more_sessions_than_the_capacity(run: MadeUp) -> None:
    run.confirmed(patient="gus", hour=1, resource="a third unit")

    assert broken(run) == ["claims: capacity N sells N"]


def test_a_patient_in_two_places(run: MadeUp) -> None:
    run.confirmed(patient="ann", hour=1, resource="elsewhere")

    assert "claims: nobody is in two places at once" in broken(run)


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


def test_one_key_with_two_answers(run: MadeUp) -> None:
    for digest in ("one", "two"):
        answer = {"id": run.rows("bookings.appointments")[0]["id"]}
        run.request("zoe", "/v1/bookings", 201, key="k", digest=digest, answer=answer)

    assert broken(run) == ["retries: same key, same answer"]


def test_a_refused_key_that_had_its_effect(run: MadeUp) -> None:
    ended = run.confirmed(patient="gus", hour=9)
    path = f"/v1/appointments/{ended.id}/cancel"
    run.request("gus", path, 0, key="k")
    ended.becomes("cancelled", "cancelled_by_patient")
    run.request("gus", path, 409, key="k", answer={"code": "invalid_transition"})

    assert "retries: one effect for each key" in broken(run)


def test_a_refused_key_after_another_had_the_effect(run: MadeUp) -> None:
    ended = run.confirmed(patient="gus", hour=9)
    path = f"/v1/appointments/{ended.id}/cancel"
    ended.becomes("cancelled", "cancelled_by_patient")
    run.request("gus", path, 200, key="first")
    run.request("gus", path, 409, key="second", answer={"code": "invalid_transition"})

    assert not broken(run)


def test_an_answer_without_its_effect(run: MadeUp) -> None:
    held = run.hold(patient="gus", hour=9)
    run.request("gus", "/v1/bookings", 201, key="k", answer={"id": held.id})

    assert broken(run) == ["retries: what was answered has happened"]


def test_a_missing_audit_entry(run: MadeUp) -> None:
    run.rows("bookings.audit_events").pop()

    assert "audit: one entry and one event each" in broken(run)


def test_a_missing_event(run: MadeUp) -> None:
    run.rows("bookings.outbox").pop()

    assert "audit: one entry and one event each" in broken(run)


def test_a_move_that_no_table_allows(run: MadeUp) -> None:
    ended = run.confirmed(patient="gus", hour=9)
    ended.becomes("cancelled", "cancelled_by_patient")
    ended.becomes("confirmed", "approved")

    assert "audit: one entry and one event each" in broken(run)


def test_a_broken_chain(run: MadeUp) -> None:
    run.state["audit"] = {"code": 1, "output": "BROKEN"}

    assert broken(run) == ["audit: the chain is intact"]


def test_a_trail_that_its_service_may_change(run: MadeUp) -> None:
    run.state["tampered"] = ["DELETE FROM audit_events"]

    assert broken(run) == ["audit: append-only for the service"]


def test_an_unpublished_event(run: MadeUp) -> None:
    run.rows("bookings.outbox")[0]["published_at"] = None

    assert broken(run) == ["messages: all committed is published"]


def test_an_event_that_one_listener_has_not_had(run: MadeUp) -> None:
    run.rows("inbox").pop()

    assert broken(run) == ["messages: every listener has had them"]


def test_an_event_that_nobody_committed(run: MadeUp) -> None:
    row = {"consumer": "availability", "event_id": "rolled back", "received_at": BEGAN}
    run.rows("inbox").append(row)

    assert broken(run) == ["messages: nothing is made up or twice"]


def test_a_parked_message_and_one_that_waits_for_ever(run: MadeUp) -> None:
    run.state["parked"] = {"availability": ["booking.held: poison"]}
    run.state["waiting"] = {"bookings": 3}

    assert broken(run) == ["messages: none parked or stuck"]


@pytest.mark.parametrize("table", ["notifications.appointments", "calendar-sync.entries"])
def test_a_read_model_with_an_old_version(run: MadeUp, table: str) -> None:
    run.rows(table)[0]["version"] -= 1

    assert broken(run) == ["messages: read models equal the truth"]


def test_a_view_that_goes_back_to_an_old_version(run: MadeUp) -> None:
    run.add("versions", start=run.clock, known=5, back=["one of them"])

    assert broken(run) == ["messages: old never overwrites newer"]


@pytest.mark.parametrize("kind", ["webhook", "stream"])
def test_a_confirmation_that_was_not_told(run: MadeUp, kind: str) -> None:
    run.add(f"{kind}s from", start=BEGAN, provider=PROVIDER)

    assert broken(run) == ["messages: webhooks and streams tell all"]


@pytest.mark.parametrize("prefix", ["", "rebuilt."])
def test_a_view_that_differs(run: MadeUp, prefix: str) -> None:
    run.rows(f"{prefix}availability.claims").pop()

    [promise] = broken(run)
    assert promise.startswith("availability: ")


def test_a_view_that_comes_late(run: MadeUp) -> None:
    for row in run.rows("inbox"):
        row["received_at"] += 0.9

    assert broken(run) == ["availability: p99 staleness 500 ms"]


def test_a_view_that_comes_late_on_a_machine_without_time_for_it(run: MadeUp) -> None:
    for row in run.rows("inbox"):
        row["received_at"] += 0.9
    run.add("starved", start=BEGAN, end=run.clock + 1)

    assert not broken(run)


def test_a_view_that_is_sent_again_counts_from_its_first_arrival(run: MadeUp) -> None:
    run.add("arrivals", start=run.clock, at={r["event_id"]: BEGAN + 90 for r in run.rows("inbox")})
    run.add("republish", start=run.clock + 50, end=run.clock + 51)
    for row in run.rows("inbox"):
        row["received_at"] = run.clock + 50.5

    assert broken(run) == ["availability: p99 staleness 500 ms"]


def test_a_view_that_comes_long_after_a_fault(run: MadeUp) -> None:
    run.add(**fault(BEGAN, BEGAN + 1))
    run.rows("inbox")[0]["received_at"] = BEGAN + 20

    assert "availability: 5 s after a fault has healed" in broken(run)


def fault(start: float, end: float, **more: Any) -> dict[str, Any]:
    entry = {"kind": "fault", "name": "pause x", "type": "pause", "target": "x", "start": start}
    return {**entry, "end": end, "over": end, "healed": end, **more}


def test_a_confirmation_without_its_mail(run: MadeUp) -> None:
    run.rows("mails").pop()
    run.rows("mails").pop()

    assert broken(run) == ["notifications: none missing"]


def test_a_mail_twice_without_a_crash(run: MadeUp) -> None:
    run.rows("mails").append(run.rows("mails")[-1] | {"arrived": run.clock + 900})

    assert broken(run) == ["notifications: twice only after a crash"]


def test_a_mail_twice_after_a_crash(run: MadeUp) -> None:
    run.rows("mails").append(run.rows("mails")[-1] | {"arrived": run.clock + 2})
    run.add(**fault(run.clock, run.clock + 1))

    assert not broken(run)


def test_two_mails_of_one_thing(run: MadeUp) -> None:
    job = run.rows("notifications.notification_jobs")[-1]
    run.rows("notifications.notification_jobs").append(job | {"id": "another"})
    run.rows("mails").append({"message_id": "<another@x>", "arrived": run.clock})

    assert broken(run) == ["notifications: twice only after a crash"]


def test_a_mail_about_what_has_ended_long_ago(run: MadeUp) -> None:
    ended = next(r for r in run.rows("bookings.appointments") if r["status"] == "cancelled")
    for mail in run.rows("mails"):
        if ended["id"] in mail["message_id"]:
            mail["arrived"] = ended["cancelled_at"] + 6

    assert broken(run) == ["notifications: none 5 s after the end"]


def test_a_reminder_that_still_waits(run: MadeUp) -> None:
    ended = next(r for r in run.rows("bookings.appointments") if r["status"] == "cancelled")
    run.rows("notifications.notification_jobs").append(
        {"id": "r", "kind": "reminder", "channel": "email", "party": "patient"}
        | {"appointment_id": ended["id"], "appointment_version": 2, "status": "queued"}
    )

    assert broken(run) == ["notifications: reminders end with it"]


def test_an_appointment_twice_in_the_calendar(run: MadeUp) -> None:
    run.state["calendar"].append(run.state["calendar"][0])

    assert broken(run) == ["calendar: one event each, none of ended"]


def test_an_ended_appointment_in_the_calendar(run: MadeUp) -> None:
    run.state["calendar"].append({"uid": "x@clinic", "starts_at": 5.0})

    assert broken(run) == ["calendar: one event each, none of ended"]


def test_our_own_event_as_busy_time(run: MadeUp) -> None:
    run.state["calendar"].append({"uid": "private@torture", "starts_at": 5.0})
    run.rows("availability.external_busy_times").extend([{"starts_at": 5.0}, {"starts_at": 6.0}])

    assert broken(run) == ["calendar: our events never block"]


def test_a_500_counts_inside_a_fault_as_well(run: MadeUp) -> None:
    run.request("zoe", "/v1/bookings", 500)
    run.add(**fault(run.clock - 1, run.clock + 1))

    assert broken(run) == ["requests: never a 500"]


def test_requests_without_an_answer_count_outside_faults_alone(run: MadeUp) -> None:
    run.request("zoe", "/v1/bookings", 503)
    assert broken(run) == ["requests: 95 % answered outside faults"]

    run.add(**fault(run.clock - 1, run.clock + 1))
    assert not broken(run)


def test_a_process_that_starts_slowly(run: MadeUp) -> None:
    at = run.clock
    killed = {"type": "kill", "target": "bookings-api", "born": at + 1, "first_answer": at + 5}
    killed["starved"] = 0.5
    run.add(**fault(at, at + 5, **killed))

    assert broken(run) == ["recovery: first answer in 3 s"]


def test_a_process_that_waited_for_a_processor_has_an_excuse(run: MadeUp) -> None:
    at = run.clock
    killed = {"type": "kill", "target": "bookings-api", "born": at + 1, "first_answer": at + 5}
    run.add(**fault(at, at + 5, **killed, starved=2.5))

    assert not broken(run)


def test_a_process_that_starts_while_its_database_is_gone_has_one_too(run: MadeUp) -> None:
    at = run.clock
    killed = {"type": "kill", "target": "bookings-api", "born": at + 1, "first_answer": at + 5}
    run.add(**fault(at, at + 5, **killed, starved=0.0))
    run.add(**fault(at + 2, at + 3, target="postgres"))

    assert not broken(run)


def test_a_database_that_is_back_and_not_used(run: MadeUp) -> None:
    at = run.clock
    killed = {"type": "kill", "target": "postgres", "born": at + 1, "first_answer": at + 2}
    killed["starved"] = 0.0
    run.add(**fault(at, at + 9, **killed))

    assert broken(run) == ["recovery: database back, ready in 5 s"]


def test_bookings_that_miss_the_broker(run: MadeUp) -> None:
    at = run.clock
    run.add(**fault(at, at + 9, target="rabbitmq"))
    run.request("zoe", "/v1/bookings", 503, start=at + 1, end=at + 2)

    assert broken(run) == ["recovery: bookings go on without a broker"]


def test_a_fault_that_never_heals(run: MadeUp) -> None:
    run.add(**fault(run.clock, run.clock + 90, healed=None))

    assert broken(run) == ["recovery: every fault heals by itself"]


def test_a_get_that_changes_something(run: MadeUp) -> None:
    run.state["looked"]["after"] = {"bookings.claims": "2"}

    assert broken(run) == ["GET: changes nothing"]


def test_a_seed_is_a_plan() -> None:
    assert planned(7, 600) == planned(7, 600)
    assert planned(7, 600) != planned(8, 600)
    assert len(planned(7, 1800)) >= 200


def test_every_planted_bug_names_a_promise_there_is(run: MadeUp) -> None:
    promises = [line.promise for line in check(run.evidence())]

    for bug in BUGS:
        assert all(any(each.startswith(p) for each in promises) for p in bug.found_by), bug.name
