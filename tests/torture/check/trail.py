"""Each state change has exactly one audit event and one outbox event, in its transaction."""

from itertools import pairwise

from tests.torture.check.evidence import Evidence, Json
from tests.torture.check.verdicts import Line

_BESIDE = ("calendar_", "reminder_", "note_", "participant_")
"""Beginnings of the actions that change no state and announce nothing."""
_STATUS_AFTER = {
    "held_created": "held",
    "hold_extended": "held",
    "request_submitted": "pending",
    "confirmed": "confirmed",
    "approved": "confirmed",
    "completed": "completed",
    "no_show": "no_show",
}
_MAY_FOLLOW = {
    "held": ("held", "confirmed", "pending", "cancelled"),
    "pending": ("confirmed", "cancelled"),
    "confirmed": ("cancelled", "completed", "no_show"),
}


def lines(evidence: Evidence) -> list[Line]:
    return [_pairs(evidence), _chain(evidence), _append_only(evidence)]


def _pairs(evidence: Evidence) -> Line:
    against = []
    changes = 0
    for id_, row in evidence.appointments.items():
        audits = [a for a in evidence.audits.get(id_, []) if not a["action"].startswith(_BESIDE)]
        events = evidence.changes.get(id_, [])
        changes += len(events)
        against += _faults(id_, row, audits, [event.data for event in events])
        if len(audits) == len(events):
            for audit, event in zip(audits, events, strict=True):
                if audit["occurred_at"] != event.occurred_at:
                    against.append(f"{id_}: {audit['action']} and {event.type} differ in time")
    unknown = set(evidence.changes) - set(evidence.appointments)
    against += [f"{id_} was announced and does not exist" for id_ in unknown]
    figure = f"{changes} changes of {len(evidence.appointments)} appointments, {len(against)} wrong"
    return Line("audit: one entry and one event each", figure, changes, against)


def _faults(id_: str, row: Json, audits: list[Json], events: list[Json]) -> list[str]:
    found = []
    versions = [event["version"] for event in events]
    if versions != list(range(1, row["version"] + 1)):
        found.append(f"{id_} is at version {row['version']}, events tell {versions}")
    if len(audits) != row["version"]:
        actions = [audit["action"] for audit in audits]
        found.append(f"{id_} is at version {row['version']}, its trail tells {actions}")
    after = [_STATUS_AFTER.get(audit["action"], "cancelled") for audit in audits]
    if after and after[-1] != row["status"]:
        found.append(f"{id_} is {row['status']}, its trail ends with {audits[-1]['action']}")
    for status, following in pairwise(after):
        if following not in _MAY_FOLLOW.get(status, ()):
            found.append(f"{id_} went from {status} to {following}")
    return found


def _append_only(evidence: Evidence) -> Line:
    let = evidence.state.get("tampered")
    figure = f"{len(let or ())} of UPDATE, DELETE, TRUNCATE let through"
    return Line("audit: append-only for the service", figure, int(let is not None), let or [])


def _chain(evidence: Evidence) -> Line:
    verified = evidence.state.get("audit", {})
    gaps = []
    for id_, audits in evidence.audits.items():
        sequences = [audit["sequence"] for audit in audits]
        if sequences != list(range(1, len(sequences) + 1)):
            gaps.append(f"{id_} has entries {sequences}")
    if verified.get("code") != 0:
        gaps.append(f"bookings.audit verify: {verified.get('output')}")
    return Line("audit: the chain is intact", str(verified.get("output", "")), 1, gaps)
