"""What an operator is told: the worst first, and nothing twice."""

from dataclasses import replace
from typing import Any

import pytest

from shared.status.__main__ import NotTold, places_of
from shared.status.facts import Copy, DatabaseState, Facts, QueueState, Samples
from shared.status.judging import WITH_MAKE, judge, span
from shared.status.looking import samples_of
from shared.status.screen import as_json, shown

NOW = 1_800_000_000.0
READY = {"database": True, "broker": True}
WELL = DatabaseState(waiting=0, oldest=0.0, revision="0003", wanted="0003")
EMPTY = QueueState(ready=0, retrying=0, parked=0)


def samples(**gauges: dict[str, float]) -> Samples:
    """``timer_interval_seconds={"timer=expiry": 1}``; without a label the key is empty."""
    return {
        (name, frozenset([tuple(key.split("=", 1))] if key else [])): value
        for name, values in gauges.items()
        for key, value in values.items()
    }


WORKING = samples(
    process_start_time_seconds={"": NOW - 4000},
    outbox_relay_active={"": 1},
    timer_interval_seconds={"timer=expiry": 1, "timer=purge": 3600},
    timer_last_success_timestamp_seconds={"timer=expiry": NOW - 1, "timer=purge": NOW - 3000},
    queue_level_timestamp_seconds={"queue=bookings": NOW - 3, "queue=bookings-realtime": NOW - 3},
    work_due={"work=reminders": 0},
    work_due_oldest_seconds={"work=reminders": 0},
)


def system(**changes: Any) -> Facts:
    """One service with an API and a worker, all of them well."""
    facts = Facts(
        now=NOW,
        services=["bookings"],
        copies=[Copy("bookings-api", READY), Copy("bookings-worker", READY, WORKING)],
        databases={"bookings": WELL},
        queues={"bookings": EMPTY, "bookings-realtime": EMPTY},
        gateway=True,
    )
    return replace(facts, **changes)


def with_worker(ready: Any = READY, **gauges: dict[str, float]) -> list[Copy]:
    known = {**WORKING, **samples(**gauges)}
    return [Copy("bookings-api", READY), Copy("bookings-worker", ready, known)]


def said(facts: Facts) -> list[str]:
    return [finding.what for finding in judge(facts, WITH_MAKE)]


def test_a_system_that_is_well_has_nothing_to_say() -> None:
    facts = system()

    assert said(facts) == []
    assert "Nothing is wrong." in shown(facts, [])
    assert as_json(facts, [])["ok"] is True


def test_a_broker_that_is_away_is_one_finding_and_says_that_bookings_go_on() -> None:
    facts = system(
        queues=None,
        copies=with_worker({"database": True, "broker": False}),
        databases={"bookings": replace(WELL, waiting=12, oldest=43.0)},
    )

    assert said(facts) == [
        "the broker cannot be reached; bookings go on; 12 events wait, oldest 43 s"
    ]


def test_a_database_that_is_away_is_one_finding() -> None:
    facts = system(
        databases={"bookings": None},
        copies=[
            Copy("bookings-api", {"database": False, "broker": True}),
            Copy("bookings-worker", {"database": False, "broker": True}, {}),
        ],
    )

    assert said(facts) == [
        "the database of bookings cannot be reached; bookings answers 503",
    ]


def test_a_process_that_does_not_answer_is_told_with_what_it_means() -> None:
    facts = system(copies=[Copy("bookings-api", READY), Copy("bookings-worker", None)])

    assert said(facts) == ["bookings-worker does not answer; what it does is late"]
    assert "down" in shown(facts, [])


def test_one_copy_of_three_that_is_away_shows() -> None:
    copies = [Copy("bookings-api", READY)] * 2 + [Copy("bookings-api", None)]
    facts = system(copies=[*copies, Copy("bookings-worker", READY, WORKING)])

    assert "2 of 3" in shown(facts, [])
    assert said(facts) == ["bookings-api does not answer"]


def test_a_parked_message_is_told_with_its_reason_and_the_commands() -> None:
    parked = QueueState(ready=0, retrying=0, parked=2, reasons=["patient.updated: KeyError"])
    [finding] = judge(system(queues={"bookings": parked}), WITH_MAKE)

    assert finding.what == "2 messages parked in bookings: patient.updated: KeyError"
    assert 'make queues ARGS="show bookings"' in finding.todo
    assert 'make queues ARGS="replay bookings --all"' in finding.todo


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"databases": {"bookings": replace(WELL, revision="0002")}},
            "the schema of bookings is at 0002, 0003 is the newest",
        ),
        (
            {"databases": {"bookings": replace(WELL, waiting=3, oldest=90.0)}},
            "3 events of bookings wait, oldest 90 s",
        ),
        (
            {
                "databases": {"bookings": replace(WELL, waiting=1, oldest=2.0)},
                "copies": with_worker(outbox_relay_active={"": 0}),
            },
            "no relay of bookings is active; its events are not told",
        ),
        (
            {
                "queues": {"bookings-realtime": replace(EMPTY, ready=7)},
                "copies": with_worker(
                    queue_level_timestamp_seconds={"queue=bookings-realtime": NOW - 600}
                ),
            },
            "7 messages in bookings-realtime, not level for 10 min",
        ),
        (
            {"queues": {"bookings": replace(EMPTY, ready=None)}},
            "the queue bookings does not exist",
        ),
        (
            {
                "copies": with_worker(
                    timer_last_success_timestamp_seconds={"timer=expiry": NOW - 200}
                )
            },
            "the timer “expiry” of bookings has not run for 3 min",
        ),
        (
            {
                "copies": with_worker(
                    work_due={"work=reminders": 12},
                    work_due_oldest_seconds={"work=reminders": 240},
                )
            },
            "reminders of bookings: 12 late, the oldest by 4 min",
        ),
        ({"gateway": False}, "the gateway does not answer; nobody reaches anything"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], expected: str) -> None:
    assert said(system(**changes)) == [expected]


def test_a_calendar_that_was_not_read_for_long_is_told() -> None:
    seen = samples(
        calendar_oldest_read_timestamp_seconds={"kind=google": NOW - 7300, "kind=ics": NOW - 60}
    )
    facts = system()
    facts = replace(facts, copies=[*facts.copies, Copy("calendar-sync-worker", READY, seen)])

    [what] = said(facts)
    assert what.startswith("a google calendar has not been read for 2 h")


def test_the_text_of_prometheus_is_read() -> None:
    text = '# TYPE queue_depth gauge\nqueue_depth{queue="bookings"} 3.0\n'

    assert samples_of(text) == {("queue_depth", frozenset({("queue", "bookings")})): 3.0}


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (90, "90 s"), (300, "5 min"), (7300, "2 h"), (3e5, "3 d")]
)
def test_spans_are_short(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize("missing", ["PROCESSES", "AMQP_URL", "BOOKINGS_DATABASE_URL"])
def test_it_says_what_it_is_not_told(missing: str) -> None:
    environment = {
        "PROCESSES": "bookings-api=http://127.0.0.1:1",
        "AMQP_URL": "amqp://nowhere",
        "BOOKINGS_DATABASE_URL": "postgresql://nowhere",
    }
    del environment[missing]

    with pytest.raises(NotTold):
        places_of(environment)
