"""No two active claims overlap, capacity N sells N, and nobody is refused for nothing."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import NamedTuple

from tests.torture.check.evidence import ENDED, Change, Evidence, Json, code_of
from tests.torture.check.verdicts import Line

_STALE = 5.0
"""Seconds for which a list may still show what has ended, before it counts as a false refusal."""


class _Claim(NamedTuple):
    start: float
    end: float
    position: float
    until: float
    appointment: str


def lines(evidence: Evidence) -> list[Line]:
    return [
        _no_overlap(evidence),
        _own_time(evidence),
        _torn(evidence),
        _rows(evidence),
        _capacity(evidence),
        _rivals(evidence),
    ]


def _no_overlap(evidence: Evidence) -> Line:
    by_resource: dict[str, list[_Claim]] = defaultdict(list)
    for id_, changes in evidence.changes.items():
        for change in changes:
            for claim in change.data["claims"]:
                span = _Claim(
                    _instant(claim["start"]),
                    _instant(claim["end"]),
                    change.position,
                    change.until,
                    id_,
                )
                by_resource[claim["resourceId"]].append(span)
    against = [f for resource, each in by_resource.items() for f in _overlaps(each, resource)]
    count = sum(map(len, by_resource.values()))
    figure = f"{count} claims on {len(by_resource)} resources, {len(against)} overlaps"
    return Line("claims: none ever overlap on a resource", figure, count, against)


def _overlaps(claims: list[_Claim], what: str) -> list[str]:
    found = set()
    active: list[_Claim] = []
    for claim in sorted(claims):
        active = [other for other in active if other.end > claim.start]
        for other in active:
            together = other.position < claim.until and claim.position < other.until
            if together and other.appointment != claim.appointment:
                pair = " and ".join(sorted((claim.appointment, other.appointment)))
                found.add(f"{pair} on {what} at {datetime.fromtimestamp(claim.start, UTC)}")
        active.append(claim)
    return sorted(found)


def _own_time(evidence: Evidence) -> Line:
    by_patient: dict[str, list[_Claim]] = defaultdict(list)
    for id_, changes in evidence.changes.items():
        for change in changes:
            if change.status == "confirmed":
                data = change.data
                span = _instant(data["start"]), _instant(data["end"])
                claim = _Claim(*span, change.position, change.until, id_)
                by_patient[data["userId"]].append(claim)
    against = [fault for patient, each in by_patient.items() for fault in _overlaps(each, patient)]
    count = sum(map(len, by_patient.values()))
    figure = f"{count} appointments of {len(by_patient)} patients, {len(against)} overlaps"
    return Line("claims: nobody is in two places at once", figure, count, against)


def _torn(evidence: Evidence) -> Line:
    """Of two overlapping times that one patient confirms in the same moment; that both are refused
    for other reasons may be."""
    pairs = evidence.of("torn")
    against, won = [], 0
    for pair in pairs:
        winners = sum(answer["status"] == 201 for answer in pair["answers"])
        won += winners
        gave_way = [answer["busy_with"] for answer in pair["answers"]]
        if winners > 1 or gave_way == pair["appointments"][::-1]:
            both = " and ".join(pair["appointments"])
            against.append(f"{both} of {pair['patient']}: {winners} won")
    figure = f"{len(pairs)} wanted by one, {won} had, {len(against)} times both or none"
    return Line("claims: of two places at once one wins", figure, len(pairs), against)


def _rows(evidence: Evidence) -> Line:
    """What stands in the table is what the last event of each appointment says."""
    stored = {
        (row["appointment_id"], row["resource_id"]) for row in evidence.rows("bookings.claims")
    }
    told = {
        (id_, claim["resourceId"])
        for id_, changes in evidence.changes.items()
        for claim in changes[-1].data["claims"]
    }
    against = [f"{a} claims {r} and should not" for a, r in sorted(stored - told)]
    against += [f"{a} should claim {r}" for a, r in sorted(told - stored)]
    for id_, row in evidence.appointments.items():
        held = any(appointment == id_ for appointment, _ in stored)
        if (row["status"] in ENDED) == held:
            against.append(f"{id_} is {row['status']} and has {'' if held else 'no '}claims")
    figure = f"{len(stored)} rows in the end, {len(against)} wrong"
    return Line("claims: exist exactly while active", figure, len(evidence.appointments), against)


def _capacity(evidence: Evidence) -> Line:
    """More sessions than N at one start were never active together.

    A hold that is to replace an appointment at its own start has the place of that one.
    """
    against = []
    most: dict[str, int] = {}
    starts: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for changes in evidence.changes.values():
        data = changes[0].data
        origin = evidence.changes.get(data.get("rescheduledFrom") or "")
        is_there_already = origin is not None and _place(origin[0].data) == _place(data)
        no_place_of_its_own = (*ENDED, "held") if is_there_already else ENDED
        active = [change for change in changes if change.status not in no_place_of_its_own]
        if active:
            starts[_place(data)].append((active[0].position, active[-1].until))
    for (provider, start), spans in starts.items():
        practice = evidence.practices.get(provider)
        if practice is None:
            continue
        together = max(sum(a <= position < b for a, b in spans) for position, _ in spans)
        most[practice["name"]] = max(together, most.get(practice["name"], 0))
        if together > practice["capacity"] + (practice["name"] == "rooms"):
            against.append(f"{practice['name']} sold {together} at {start}")
    sold = ", ".join(f"{name} {count}" for name, count in sorted(most.items()))
    return Line("claims: capacity N sells N", f"most at once: {sold}", len(starts), against)


def _rivals(evidence: Evidence) -> Line:
    """Whoever is told that a time is taken could see who has it, a moment ago at the latest."""
    against, judged = [], 0
    slots = {slot["id"]: slot for slot in evidence.of("slot")}
    by_provider: dict[str, list[list[Change]]] = defaultdict(list)
    for changes in evidence.changes.values():
        by_provider[changes[0].data["providerId"]].append(changes)
    for request in evidence.of("request"):
        wish = request["sent"] or {}
        slot = slots.get(wish.get("timeslotId", ""))
        practice = evidence.practices.get(wish.get("providerId", ""))
        if code_of(request) != "slot_taken" or not slot or not practice or not practice["stable"]:
            continue
        judged += 1
        since = evidence.since(request["start"], _STALE)
        if not _had_rival(request, slot, since, by_provider[practice["provider"]]):
            when = datetime.fromtimestamp(request["start"], UTC)
            against.append(
                f"{practice['name']} {slot['start']}, asked at {when} by {request['by']}"
            )
    figure = f"{judged} refusals, {len(against)} without a rival"
    return Line("claims: every slot_taken had a rival", figure, judged, against)


def _had_rival(request: Json, slot: Json, since: float, all_changes: list[list[Change]]) -> bool:
    """Somebody claimed a part of that time then: with one unit left out that is not yet proof, but
    without anybody it is a refusal for nothing."""
    start, end = slot["from"], slot["to"]
    for changes in all_changes:
        for number, change in enumerate(changes):
            began = change.occurred_at
            ended = changes[number + 1].occurred_at if number + 1 < len(changes) else float("inf")
            if change.status == "held" and change.data.get("holdExpiresAt"):
                ended = min(ended, _instant(change.data["holdExpiresAt"]))
            if began > request["end"] or ended < since:
                continue
            for claim in change.data["claims"]:
                if _instant(claim["start"]) < end and start < _instant(claim["end"]):
                    return True
    return False


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _place(data: Json) -> tuple[str, str]:
    return str(data["providerId"]), str(data["start"])
