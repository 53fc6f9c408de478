"""Broken promises about keys, the trail and messages."""

import pytest

from tests.torture.made_up import BEGAN, PROVIDER, MadeUp, broken, fault


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


def parked(id_: str) -> dict[str, str]:
    return {"id": id_, "type": "booking.held", "reason": "unreadable"}


def poisoned(run: MadeUp, at: float, *, sure: bool = True) -> None:
    sort, queues = "garbage", ["availability", "notifications"]
    run.add("poison", start=at, end=at, id="poison-1", sort=sort, queues=queues, sure=sure)
    run.state["parked"] = {queue: [parked("poison-1")] for queue in queues}
    run.state["parked gauges"] = dict.fromkeys(queues, 1)


def test_poison_that_is_parked_is_no_fault(run: MadeUp) -> None:
    poisoned(run, run.clock)

    assert not broken(run)


def test_poison_that_one_queue_has_lost(run: MadeUp) -> None:
    poisoned(run, run.clock)
    run.state["parked"]["availability"] = []
    run.state["parked gauges"]["availability"] = 0

    assert broken(run) == ["messages: poison is parked and counted"]


def test_poison_of_which_nobody_knows_whether_it_arrived(run: MadeUp) -> None:
    poisoned(run, run.clock, sure=False)
    run.state["parked"]["availability"] = []
    run.state["parked gauges"]["availability"] = 0

    assert not broken(run)


def test_poison_that_is_not_counted(run: MadeUp) -> None:
    poisoned(run, run.clock)
    run.state["parked gauges"]["notifications"] = 0

    assert broken(run) == ["messages: poison is parked and counted"]


def test_poison_that_keeps_others_waiting(run: MadeUp) -> None:
    event = next(r for r in run.rows("bookings.outbox") if r["type"] == "booking.confirmed")
    poisoned(run, event["occurred_at"] - 0.5)
    for row in run.rows("inbox"):
        if row["consumer"] != "availability":
            row["received_at"] += 3

    assert broken(run) == ["messages: poison keeps nobody waiting"]


def test_a_parked_message_and_one_that_waits_for_ever(run: MadeUp) -> None:
    run.state["parked"] = {"availability": [parked("an event's id")]}
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


def test_a_hold_that_ends_while_the_view_is_rebuilt(run: MadeUp) -> None:
    held = run.hold(patient="gus", hour=9)
    run.rows("rebuilt.availability.claims")[:] = [
        row for row in run.rows("rebuilt.availability.claims") if row["appointment_id"] != held.id
    ]
    for row in run.rows("rebuilt.availability.appointments"):
        if row["id"] == held.id:
            row |= {"status": "cancelled", "version": row["version"] + 1}

    assert not [promise for promise in broken(run) if promise.startswith("availability: rebuilt")]


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
