"""The provider's own calendar: one event for each appointment, and our own never block."""

from collections import Counter

from tests.torture.check.evidence import Evidence
from tests.torture.check.verdicts import Line

_WORK = "calendar-sync's work"
"""What waits by this name are visits that have not been made yet."""


def lines(evidence: Evidence) -> list[Line]:
    connected = [each["provider"] for each in evidence.of("practice") if each["calendar"]]
    return [_one_each(evidence, connected), _busy(evidence, connected)]


def _one_each(evidence: Evidence, connected: list[str]) -> Line:
    """An event that no row knows was written twice or left behind, and nobody will ever remove it.

    Whether there is one for each appointment is counted when no visit is outstanding.
    """
    ours = [e for e in evidence.state.get("calendar", []) if not e["uid"].endswith("@torture")]
    wanted = Counter(
        row["starts_at"]
        for row in evidence.appointments.values()
        if row["provider_id"] in connected and row["status"] == "confirmed"
    )
    written = Counter(event["starts_at"] for event in ours)
    known = " ".join(
        f"{row['id']} {row.get('external_id')}"
        for row in evidence.rows("calendar-sync.written_events")
    )
    against = [
        f"{event['uid']} at {event['starts_at']} is known to nobody"
        for event in ours
        if event.get("stays") and event["uid"].partition("@")[0] not in known
    ]
    outstanding = evidence.state.get("waiting", {}).get(_WORK, 0)
    if not outstanding:
        against += [f"{n} events too many at {start}" for start, n in (written - wanted).items()]
        against += [f"{n} events missing at {start}" for start, n in (wanted - written).items()]
    figure = f"{wanted.total()} appointments, {written.total()} events"
    figure += f", {outstanding} visits outstanding" if outstanding else ""
    return Line("calendar: one event each, none of ended", figure, wanted.total(), against)


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
