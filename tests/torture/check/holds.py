"""Holds are exclusive until they end, and free at once after it; crowds get what there is."""

from datetime import datetime
from itertools import pairwise

from tests.torture.check.evidence import Evidence, quantile
from tests.torture.check.verdicts import Line

_BOOKABLE_WITHIN = 1.0
_STAMPEDE_WITHIN = 5.0


def lines(evidence: Evidence) -> list[Line]:
    return [_in_time(evidence), _after_expiry(evidence), *_stampedes(evidence)]


def _in_time(evidence: Evidence) -> Line:
    """By the database's clock: confirmed before the end, expired after it."""
    against, holds = [], 0
    for id_, changes in evidence.changes.items():
        for before, after in pairwise(changes):
            if before.status != "held" or not before.data.get("holdExpiresAt"):
                continue
            expires = datetime.fromisoformat(before.data["holdExpiresAt"]).timestamp()
            late = after.occurred_at - expires
            holds += 1
            if after.status in ("confirmed", "pending") and late >= 0:
                against.append(f"{id_} became {after.status} {late:.3f} s after its hold's end")
            cause = (after.data.get("cancellation") or {}).get("cause")
            if cause == "hold_expired" and late < 0:
                against.append(f"{id_} expired {-late:.3f} s too early")
    figure = f"{holds} ends of holds, {len(against)} on the wrong side"
    return Line("holds: confirmed before, expired after their end", figure, holds, against)


def _after_expiry(evidence: Evidence) -> Line:
    calm = [e for e in evidence.of("expiry") if evidence.is_quiet(e["start"] - 1, e["end"])]
    took = [entry["end"] - entry["start"] for entry in calm]
    against = [
        f"{entry['appointment']} was in the way for {entry['end'] - entry['start']:.2f} s"
        for entry in calm
        if entry["end"] - entry["start"] > _BOOKABLE_WITHIN or entry["booked"] is None
    ]
    figure = f"{len(calm)} of {len(evidence.of('expiry'))} seen, most {max(took, default=0):.2f} s"
    return Line("holds: bookable 1 s after expiry", figure, len(calm), against, is_speed=True)


def _stampedes(evidence: Evidence) -> list[Line]:
    rushes = evidence.of("stampede")
    against, slow = [], []
    for rush in rushes:
        winners = rush["statuses"].count(201)
        quiet = evidence.is_quiet(rush["start"] - 6, rush["end"])
        odd = [s for s in rush["statuses"] if s not in (201, 409)]
        too_few = quiet and not odd and winners < rush["capacity"]
        if winners > evidence.practices[rush["provider"]]["capacity"] or too_few:
            what = f"{winners} winners of {rush['capacity']}, other answers {odd}"
            against.append(f"{rush['slot']} at {rush['start']:.0f}: {what}")
        if quiet and odd:
            slow.append(f"{rush['slot']} at {rush['start']:.0f}: answers {odd}")
    calm = [r["end"] - r["start"] for r in rushes if evidence.is_quiet(r["start"], r["end"])]
    slow += [f"{took:.1f} s" for took in calm if took > _STAMPEDE_WITHIN]
    deadlocks = sum(row["deadlocks"] for row in evidence.rows("deadlocks"))
    if deadlocks:
        against.append(f"{deadlocks} deadlocks in the database")
    size = len(rushes[0]["statuses"]) if rushes else 0
    return [
        Line(
            "stampede: exactly the capacity wins",
            f"{len(rushes)} of {size} people, {deadlocks} deadlocks",
            len(rushes),
            against,
        ),
        Line(
            "stampede: all answered within 5 s",
            f"{len(calm)} outside faults, p50 {quantile(calm, 0.5):.2f} s, "
            f"most {max(calm, default=0):.2f} s",
            len(calm),
            slow,
            is_speed=True,
        ),
    ]
