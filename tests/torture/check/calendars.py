"""The provider's own calendar: one event for each appointment, and our own never block."""

from collections import Counter

from tests.torture.check.evidence import Evidence
from tests.torture.check.verdicts import Line


def lines(evidence: Evidence) -> list[Line]:
    connected = [each["provider"] for each in evidence.of("practice") if each["calendar"]]
    events = evidence.state.get("calendar", [])
    ours = [event for event in events if not event["uid"].endswith("@torture")]
    wanted = Counter(
        row["starts_at"]
        for row in evidence.appointments.values()
        if row["provider_id"] in connected and row["status"] == "confirmed"
    )
    written = Counter(event["starts_at"] for event in ours)
    against = [f"{n} events too many at {start}" for start, n in (written - wanted).items()]
    against += [f"{n} events missing at {start}" for start, n in (wanted - written).items()]
    figure = f"{wanted.total()} appointments, {written.total()} events"
    return [
        Line("calendar: one event each, none of ended", figure, wanted.total(), against),
        _busy(evidence, connected),
    ]


def _busy(evidence: Evidence, connected: list[str]) -> Line:
    """Busy is what the provider has entered there, and nothing that we have."""
    private = {
        event["starts_at"]
        for event in evidence.state.get("calendar", [])
        if event["uid"].endswith("@torture")
    }
    busy = {row["starts_at"] for row in evidence.rows("availability.external_busy_times")}
    against = [f"busy at {start} without an event" for start in sorted(busy - private)]
    against += [f"not busy at {start}" for start in sorted(private - busy)]
    by_us = [
        f"{id_} was cancelled by the system"
        for id_, audits in evidence.audits.items()
        for audit in audits
        if audit["action"] == "cancelled_by_system"
        and evidence.appointments[id_]["provider_id"] in connected
        and audit["metadata"].get("rescheduledFrom") is None
    ]
    figure = f"{len(private)} private events, {len(busy)} busy times"
    return Line("calendar: our events never block", figure, len(private), against + by_us)
