"""Of a rescheduled appointment exactly one of old and new is active, at every moment."""

from tests.torture.check.evidence import Change, Evidence
from tests.torture.check.verdicts import Line


def lines(evidence: Evidence) -> list[Line]:
    against, moves = [], 0
    for id_, changes in evidence.changes.items():
        last = changes[-1]
        cause = (last.data.get("cancellation") or {}).get("cause")
        if last.status == "cancelled" and cause == "rescheduled":
            moves += 1
            new = last.data.get("rescheduledTo")
            if not _began_then(evidence.changes.get(new or "", []), last.occurred_at):
                against.append(f"{id_} was given up, and {new} did not stand in its place then")
            if not _in_one_transaction(evidence, id_, new or ""):
                against.append(f"{id_} was given up in another transaction than {new} began in")
        for change in changes:
            if change.type == "booking.rescheduled":
                old = change.data.get("rescheduledFrom") or ""
                if not _gave_way(evidence.changes.get(old, []), id_, change.occurred_at):
                    against.append(f"{id_} replaced {old}, which went on besides it")
    figure = f"{moves} moves, {len(against)} with none or both"
    return [Line("reschedule: exactly one of old and new", figure, moves, against)]


def _in_one_transaction(evidence: Evidence, old: str, new: str) -> bool:
    """By the trail, whose rows are never written again; older runs have not kept that."""
    given_up, began = (
        {audit.get("transaction") for audit in evidence.audits.get(id_, [])} for id_ in (old, new)
    )
    return bool(given_up & began)


def _began_then(changes: list[Change], moment: float) -> bool:
    """In the same transaction; a request that was moved is again one that waits."""
    return any(c.status in ("confirmed", "pending") and c.occurred_at == moment for c in changes)


def _gave_way(changes: list[Change], new: str, moment: float) -> bool:
    """At that moment, or when what replaces it was still asked for."""
    last = changes[-1] if changes else None
    return (
        last is not None
        and last.status == "cancelled"
        and last.data.get("rescheduledTo") == new
        and last.occurred_at <= moment
    )
