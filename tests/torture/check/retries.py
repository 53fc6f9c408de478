"""The same key gets the same answer and has one effect; whatever was answered has happened."""

import re
from collections import defaultdict
from datetime import datetime

from tests.torture.check.evidence import Evidence, Json, Rows, code_of, is_final
from tests.torture.check.verdicts import Line

_MADE_BY = {"confirm": ("confirmed", "request_submitted"), "cancel": ("cancelled_by_patient",)}
_CANCEL = re.compile(r"/v1/appointments/([0-9a-f-]+)/cancel")
_MOVE = re.compile(r"/v1/appointments/([0-9a-f-]+)/reschedule")
_DESK = re.compile(r"/v1/providers/([0-9a-f-]+)/appointments")
_SLACK = 0.05


def lines(evidence: Evidence) -> list[Line]:
    return [_same_answer(evidence), _one_effect(evidence), _answered_is_done(evidence)]


def _same_answer(evidence: Evidence) -> Line:
    against, repeated = [], 0
    for (_, key), requests in evidence.intents.items():
        final = [request for request in requests if is_final(request)]
        repeated += len(final) > 1
        if len({(request["status"], request["digest"]) for request in final}) > 1:
            told = [f"{request['status']} {code_of(request)}" for request in final]
            against.append(f"{requests[0]['path']} with {key} answered {told}")
    figure = f"{repeated} keys answered more than once, {len(against)} differently"
    return Line("retries: same key, same answer", figure, repeated, against)


def _one_effect(evidence: Evidence) -> Line:
    """A key that was refused has changed nothing, and no key has changed something twice."""
    against, judged = [], 0
    told_done: dict[str, int] = defaultdict(int)
    refused: list[tuple[Rows, str, tuple[str, ...]]] = []
    for (by, _), requests in evidence.intents.items():
        final = [request for request in requests if is_final(request)]
        if not final:
            continue
        judged += len(requests) > 1
        target = _target(requests[0], evidence)
        if final[-1]["status"] < 300:
            if target is not None:
                told_done[f"{target[1]} {target[0]}"] += 1
        elif target is not None:
            refused.append((requests, target[0], _MADE_BY[target[1]]))
        against += _doubled(by, requests, final, evidence)
    for requests, id_, actions in refused:
        kind = "confirm" if "confirmed" in actions else "cancel"
        done = [
            a
            for a in evidence.audits.get(id_, [])
            if a["action"] in actions
            and a["actor_id"] == requests[0]["by"]
            and requests[0]["start"] - _SLACK < a["occurred_at"] < requests[-1]["end"] + _SLACK
        ]
        if done and not told_done[f"{kind} {id_}"]:
            against.append(f"{requests[0]['path']} of {id_} was refused, and had been done by it")
    figure = f"{judged} keys sent more than once, {len(against)} with a wrong effect"
    return Line("retries: one effect for each key", figure, judged, against)


def _target(request: Json, evidence: Evidence) -> tuple[str, str] | None:
    """The appointment that a keyed request is about and what it does to it."""
    if match := _CANCEL.fullmatch(request["path"]):
        return (match[1], "cancel") if request["role"] == "patient" else None
    if request["path"] == "/v1/bookings":
        id_ = _held_under(evidence).get((request["sent"] or {}).get("reservationToken", ""))
        return (id_, "confirm") if id_ else None
    return None


def _held_under(evidence: Evidence) -> dict[str, str]:
    known: dict[str, str] | None = evidence.state.get("_held_under")
    if known is None:
        known = {
            r["answer"]["reservationToken"]: r["answer"]["appointmentId"]
            for r in evidence.of("request")
            if r["path"] == "/v1/reservations" and r["status"] in (200, 201)
        }
        evidence.state["_held_under"] = known
    return known


def _doubled(by: str, requests: Rows, final: Rows, evidence: Evidence) -> list[str]:
    """More appointments than one intent wanted."""
    first, sent = requests[0], requests[0]["sent"] or {}
    since, until = first["start"] - _SLACK, requests[-1]["end"] + _SLACK
    if match := _DESK.fullmatch(first["path"]):
        patient, start = sent.get("patientId"), _instant(sent.get("start"))
        made = [
            id_
            for id_, each in evidence.appointments.items()
            if (each["provider_id"], each["patient_id"]) == (match[1], patient)
            and each["starts_at"] == start
            and since < each["created_at"] < until
        ]
    elif first["path"] == "/v1/reservations":
        made = [
            id_
            for id_, row in evidence.appointments.items()
            if (row["patient_id"], row["timeslot_id"]) == (by, sent.get("timeslotId"))
            and since < row["created_at"] < until
        ]
    else:
        return []
    if final[-1]["status"] >= 300:
        return [f"{first['path']} by {by} was refused, and made {made}"] if made else []
    if len(made) > 1:
        return [f"{first['path']} by {by} made {made} with one key"]
    return []


def _answered_is_done(evidence: Evidence) -> Line:
    against, count = [], 0
    for request in evidence.of("request"):
        if not 200 <= request["status"] < 300 or request["method"] != "POST":
            continue
        answer = request["answer"] or {}
        wanted: tuple[str, ...] = ()
        id_ = str(answer.get("id") or "")
        if request["path"] == "/v1/reservations":
            id_, wanted = answer["appointmentId"], ("held_created",)
        elif request["path"] == "/v1/bookings" or _MOVE.fullmatch(request["path"]):
            wanted = ("confirmed", "request_submitted", "approved")
        elif match := _CANCEL.fullmatch(request["path"]):
            id_, wanted = (
                match[1],
                ("cancelled_by_patient", "cancelled_by_provider", "hold_released"),
            )
        if not wanted:
            continue
        count += 1
        actions = {audit["action"] for audit in evidence.audits.get(id_, [])}
        if not actions.intersection(wanted):
            against.append(
                f"{request['path']} was answered {request['status']}, {id_} never was it"
            )
    figure = f"{count} changes answered, {len(against)} lost"
    return Line("retries: what was answered has happened", figure, count, against)


def _instant(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0
