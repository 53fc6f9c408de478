"""Processes whose clocks are wrong: the database's alone says what time it is."""

from datetime import datetime

from tests.torture.check.evidence import Evidence, Json
from tests.torture.check.verdicts import Line

_SLACK = 1.0
"""Seconds."""


def lines(evidence: Evidence) -> list[Line]:
    wrong = [(fault["start"], fault["over"]) for fault in evidence.of("fault") if _is_wrong(fault)]
    against, judged = [], 0
    for request in evidence.of("request"):
        during = any(a < request["end"] and request["start"] < b for a, b in wrong)
        judged += during
        if request["status"] == 401:
            against.append(f"{request['path']} at {request['start']:.1f}: who asks is not believed")
        if request["path"] == "/v1/reservations" and request["status"] == 201:
            against += _mistold(request, evidence)
    figure = f"{len(wrong)} wrong clocks, {judged} requests meanwhile, {len(against)} noticed them"
    return [Line("clocks: only the database's counts", figure, judged, against)]


def _is_wrong(fault: Json) -> bool:
    return bool(fault["type"] == "clock")


def _mistold(request: Json, evidence: Evidence) -> list[str]:
    """What a new hold's owner is told of now and of its end."""
    answer = request["answer"]
    found = []
    if told := answer.get("serverTime"):
        asked = evidence.intents.get((request["by"], request["key"]), [request])
        since, now = asked[0]["start"], _instant(told)
        if not since - _SLACK <= now <= request["end"] + _SLACK:
            found.append(f"{answer['appointmentId']}: it is said to be {now - since:+.0f} s")
    changes = evidence.changes.get(answer.get("appointmentId", ""), [])
    ends = changes[0].data.get("holdExpiresAt") if changes else None
    if ends and answer.get("expiresAt"):
        differs = _instant(answer["expiresAt"]) - _instant(ends)
        if abs(differs) > _SLACK:
            found.append(f"{answer['appointmentId']}: its end was told {differs:+.0f} s wrong")
    return found


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
