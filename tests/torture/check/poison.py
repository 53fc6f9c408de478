"""What nobody can read is put aside and counted, and keeps nobody waiting."""

from collections import Counter

from tests.torture.check.evidence import Evidence, quantile
from tests.torture.check.verdicts import Line

_AFTER = 1.0
"""Seconds after such a message in which others could have to wait behind it."""
_FRESH = 1.0
"""Seconds from an event's transaction to its effect."""


def lines(evidence: Evidence) -> list[Line]:
    return [_put_aside(evidence), _nobody_waits(evidence)]


def is_poison(message_id: str) -> bool:
    return message_id.startswith("poison-")


def _put_aside(evidence: Evidence) -> Line:
    """In each queue's place for it at least once, however many crashes there were, and the worker's
    gauge says how much lies there."""
    told = evidence.of("poison")
    against, wanted, more = [], 0, 0
    parked = evidence.state.get("parked", {})
    lying = {queue: Counter(each["id"] for each in rows) for queue, rows in parked.items()}
    for message in told:
        for queue in message["queues"]:
            count = lying.get(queue, Counter())[message["id"]]
            wanted += message["sure"]
            more += max(count - 1, 0)
            if message["sure"] and not count:
                against.append(f"{message['id']} ({message['sort']}) is not parked by {queue}")
    gauges = evidence.state.get("parked gauges")
    if gauges is not None:
        against += [
            f"{queue} says that {gauges.get(queue, 0)} are parked, {len(rows)} are"
            for queue, rows in parked.items()
            if gauges.get(queue, 0) != len(rows)
        ]
    figure = f"{wanted} of {len({m['sort'] for m in told})} sorts in {len(lying)} queues, "
    figure += f"{more} copies by crashes, {len(against)} lost or not counted"
    return Line("messages: poison is parked and counted", figure, wanted, against)


def _nobody_waits(evidence: Evidence) -> Line:
    """What was committed just after it; availability's arrivals are judged by themselves."""
    moments = [message["start"] for message in evidence.of("poison")]
    received = [row for row in evidence.rows("inbox") if row["consumer"] != "availability"]
    committed = {
        row["id"]: row["occurred_at"]
        for name in ("availability", "bookings", "reservations", "notifications", "calendar-sync")
        for row in evidence.rows(f"{name}.outbox")
        if any(moment <= row["occurred_at"] <= moment + _AFTER for moment in moments)
    }
    took = [
        row["received_at"] - committed[row["event_id"]]
        for row in received
        if row["event_id"] in committed
        and evidence.is_quiet(
            committed[row["event_id"]], max(row["received_at"], committed[row["event_id"]] + _FRESH)
        )
    ]
    p99 = quantile(took, 0.99)
    figure = f"{len(took)} behind it outside faults, p50 {quantile(took, 0.5) * 1000:.0f} ms, "
    figure += f"p99 {p99 * 1000:.0f} ms"
    against = [f"p99 is {p99:.2f} s"] if p99 > _FRESH else []
    return Line("messages: poison keeps nobody waiting", figure, len(took), against, is_speed=True)
