"""Broken promises to those outside: mails, calendars, requests, recovery."""

from tests.torture.made_up import MadeUp, broken, fault


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


def test_a_fault_that_never_heals(run: MadeUp) -> None:
    run.add(**fault(run.clock, run.clock + 90, healed=None))

    assert broken(run) == ["recovery: every fault heals by itself"]


def test_a_get_that_changes_something(run: MadeUp) -> None:
    run.state["looked"]["after"] = {"bookings.claims": "2"}

    assert broken(run) == ["GET: changes nothing"]
