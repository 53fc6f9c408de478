"""What availability shows: exact in the end, the same when rebuilt, and fresh meanwhile."""

from tests.torture.check.evidence import Evidence, quantile
from tests.torture.check.verdicts import Line

_FRESH, _AFTER_FAULT = 0.5, 5.0


def lines(evidence: Evidence) -> list[Line]:
    return [
        _exact(evidence, "", "availability: exact in the end"),
        _exact(evidence, "rebuilt.", "availability: rebuilt is the same"),
        *_staleness(evidence),
    ]


def _exact(evidence: Evidence, prefix: str, promise: str) -> Line:
    if f"{prefix}availability.claims" not in evidence.state:
        return Line(promise, "not looked at", 0)
    over = evidence.state.get("taken_at", 0)
    held = {
        id_: row["hold_expires_at"]
        for id_, row in evidence.appointments.items()
        if row["status"] == "held"
    }

    def live(id_: str) -> bool:
        # Rebuilding takes a while, in which any hold may have ended.
        return id_ not in held or (not prefix and held[id_] > over)

    truth = {
        (row["appointment_id"], row["resource_id"], row["starts_at"], row["ends_at"])
        for row in evidence.rows("bookings.claims")
        if live(row["appointment_id"])
    }
    view_rows = evidence.rows(f"{prefix}availability.claims")
    seen = {
        (row["appointment_id"], row["resource_id"], row["starts_at"], row["ends_at"])
        for row in view_rows
        if live(row["appointment_id"])
    }
    against = [f"{id_} is not seen on {resource}" for id_, resource, *_ in sorted(truth - seen)]
    against += [f"{id_} is seen on {resource}" for id_, resource, *_ in sorted(seen - truth)]
    for row in evidence.rows(f"{prefix}availability.appointments"):
        known = evidence.appointments.get(row["id"])
        if prefix and row["id"] in held:
            continue
        if known is None or (row["version"], row["status"]) != (known["version"], known["status"]):
            said = f"{row['status']} {row['version']}"
            true = f"{known['status']} {known['version']}" if known else "nothing"
            against.append(f"{row['id']} is seen as {said}, {true} is true")
    missing = set(evidence.appointments) - {
        row["id"] for row in evidence.rows(f"{prefix}availability.appointments")
    }
    against += [f"{id_} is unknown" for id_ in sorted(missing)]
    figure = f"{len(truth)} claims, {len(evidence.appointments)} versions, {len(against)} differ"
    return Line(promise, figure, len(evidence.appointments), against)


def _staleness(evidence: Evidence) -> list[Line]:
    """From an event's transaction to the one that has put it into the view."""
    received = {
        row["event_id"]: row["received_at"]
        for row in evidence.rows("inbox")
        if row["consumer"] == "availability"
    }
    repeats = [(entry["start"], entry["end"]) for entry in evidence.of("republish")]
    first: dict[str, float] = {}
    for entry in reversed(evidence.of("arrivals")):
        for id_, at in entry["at"].items():
            if not any(start <= at <= end + _AFTER_FAULT for start, end in repeats):
                first[id_] = at
    received |= first
    calm, late = [], []
    for row in evidence.rows("bookings.outbox"):
        at = row["occurred_at"]
        if not row["type"].startswith("booking.") or row["id"] not in received:
            continue
        seen = received[row["id"]]
        known = row["id"] in first
        if not known and any(at < end and seen >= start for start, end in repeats):
            continue  # had once more on purpose: when it was had first is not known any more
        if evidence.is_quiet(at, max(seen, at + _FRESH)):
            calm.append(seen - at)
        elif seen > evidence.deadline(at, _AFTER_FAULT):
            late.append(f"{row['subject']} of {at:.1f}: {seen - at:.1f} s")
    p99 = quantile(calm, 0.99)
    figure = f"{len(calm)} outside faults, p50 {quantile(calm, 0.5) * 1000:.0f} ms, "
    figure += f"p99 {p99 * 1000:.0f} ms, most {max(calm, default=0) * 1000:.0f} ms"
    slow = [f"p99 is {p99:.2f} s"] if p99 > _FRESH else []
    return [
        Line("availability: p99 staleness 500 ms", figure, len(calm), slow, is_speed=True),
        Line(
            "availability: 5 s after a fault has healed",
            f"{len(late)} changes came later",
            len(evidence.of("fault")),
            late,
            is_speed=True,
        ),
    ]
