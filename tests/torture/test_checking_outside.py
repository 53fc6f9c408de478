"""Broken promises to those outside: mails, calendars, requests, recovery."""

import pytest

from tests.torture.made_up import MadeUp, broken, fault, iso


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


def texted(run: MadeUp, *, times: int = 1, status: str = "sent", lasts: bool = True) -> None:
    """A reminder by SMS that came so often."""
    booked = run.confirmed(patient="gus", hour=9)
    run.add("text wanted", start=run.clock, due=run.clock + 9, appointment=booked.id)
    job = {"id": "text", "kind": "reminder", "channel": "sms", "party": "patient", "attempts": 2}
    job |= {"appointment_id": booked.id, "appointment_version": 2, "status": status}
    run.rows("notifications.notification_jobs").append(job)
    for _ in range(times):
        run.add("text", start=run.clock + 9, job="text", to="+302101234567")
    if not lasts:
        booked.becomes("cancelled", "cancelled_by_provider")


def test_a_text_that_came_once(run: MadeUp) -> None:
    texted(run)

    assert not broken(run)


@pytest.mark.parametrize("times", [0, 2])
def test_a_text_that_came_twice_or_never(run: MadeUp, times: int) -> None:
    texted(run, times=times)

    assert broken(run) == ["notifications: each SMS once"]


def test_a_text_that_nobody_has_sent(run: MadeUp) -> None:
    texted(run, times=0, status="failed")

    assert broken(run) == ["notifications: each SMS once"]


def test_a_text_about_what_was_cancelled_is_not_wanted(run: MadeUp) -> None:
    texted(run, times=0, status="withdrawn", lasts=False)

    assert not broken(run)


def test_a_text_that_nobody_planned(run: MadeUp) -> None:
    run.add("text", start=run.clock, job="made up", to="+302101234567")

    assert broken(run) == ["notifications: each SMS once"]


def test_an_appointment_twice_in_the_calendar(run: MadeUp) -> None:
    run.state["calendar"].append(run.state["calendar"][0])

    assert broken(run) == ["calendar: one event each, none of ended"]


def test_an_ended_appointment_in_the_calendar(run: MadeUp) -> None:
    run.state["calendar"].append({"uid": "x@clinic", "starts_at": 5.0})

    assert broken(run) == ["calendar: one event each, none of ended"]


def test_an_event_that_nobody_knows_counts_although_visits_are_outstanding(run: MadeUp) -> None:
    run.state["waiting"] = {"calendar-sync's work": 3}
    run.state["calendar"].append({"uid": "x@clinic", "starts_at": 5.0, "stays": True})

    assert "calendar: one event each, none of ended" in broken(run)


def test_a_missing_event_is_no_contradiction_while_visits_are_outstanding(run: MadeUp) -> None:
    run.state["waiting"] = {"calendar-sync's work": 3}
    run.state["calendar"].pop()

    assert "calendar: one event each, none of ended" not in broken(run)


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


def outage(run: MadeUp, *, seconds: float) -> None:
    """The broker is back, and so many seconds later the last of 200 events is out."""
    at = run.clock
    for number in range(200):
        run.rows("notifications.outbox").append(
            {"id": f"n{number}", "type": "notification.sent", "subject": "s", "position": number}
            | {"occurred_at": at + 1, "published_at": at + 20 + seconds}
        )
    run.add(**fault(at, at + 20, target="rabbitmq", type="outage"))


def test_a_backlog_that_drains(run: MadeUp) -> None:
    outage(run, seconds=1)

    assert not broken(run)


def test_a_backlog_that_drains_slowly(run: MadeUp) -> None:
    outage(run, seconds=9)

    assert broken(run) == ["recovery: the backlog drains"]


def hold_told(run: MadeUp, *, now: float = 0, end: float = 0) -> None:
    """A hold whose owner is told the time and its end, both so many seconds wrong."""
    held = run.hold(patient="gus", hour=9)
    told = {"reservationToken": "t", "appointmentId": held.id}
    told |= {
        "serverTime": iso(run.clock + now),
        "expiresAt": iso(held.row["hold_expires_at"] + end),
    }
    run.request("gus", "/v1/reservations", 201, key="k", answer=told)


def test_a_time_that_is_told_right(run: MadeUp) -> None:
    hold_told(run)

    assert not broken(run)


@pytest.mark.parametrize("wrong", [{"now": 90}, {"end": -90}])
def test_a_time_that_is_told_by_a_wrong_clock(run: MadeUp, wrong: dict[str, float]) -> None:
    hold_told(run, **wrong)

    assert broken(run) == ["clocks: only the database's counts"]


def test_a_person_who_is_not_believed(run: MadeUp) -> None:
    run.request("zoe", "/v1/bookings", 401)

    assert broken(run) == ["clocks: only the database's counts"]


def test_a_wrong_clock_is_no_excuse(run: MadeUp) -> None:
    run.add(**fault(run.clock - 1, run.clock + 1, type="clock"))
    run.request("zoe", "/v1/bookings", 503)

    assert broken(run) == ["requests: 95 % answered outside faults"]


def test_a_fault_that_never_heals(run: MadeUp) -> None:
    run.add(**fault(run.clock, run.clock + 90, healed=None))

    assert broken(run) == ["recovery: every fault heals by itself"]


def test_a_process_that_ends_by_itself(run: MadeUp) -> None:
    run.state["ends"] = [{"name": "bookings-worker", "at": run.clock, "status": 1}]

    assert broken(run) == ["recovery: no process ends by itself"]


def test_a_process_that_is_told_to_end(run: MadeUp) -> None:
    run.state["ends"] = [{"name": "bookings-worker", "at": run.clock, "status": 1}]
    run.add(**fault(run.clock - 1, run.clock + 1, type="restart", target="bookings-worker"))

    assert not broken(run)


def test_a_get_that_changes_something(run: MadeUp) -> None:
    run.state["looked"]["after"] = {"bookings.claims": "2"}

    assert broken(run) == ["GET: changes nothing"]
