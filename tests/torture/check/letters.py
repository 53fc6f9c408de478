"""Mails: one confirmation for each party of each confirmed appointment, and none too late."""

from collections import Counter, defaultdict

from tests.torture.check.evidence import Evidence, Json
from tests.torture.check.verdicts import Line

_SAYS_CONFIRMED = ("confirmed", "rescheduled")
_AFTER_CANCEL = 5.0
_LEASE = 150.0
"""Seconds after a crash in which what was on its way may go out once more."""


def lines(evidence: Evidence) -> list[Line]:
    jobs = {row["id"]: row for row in evidence.rows("notifications.notification_jobs")}
    arrived: dict[str, list[float]] = defaultdict(list)
    unknown = []
    for mail in evidence.rows("mails"):
        job = mail["message_id"].strip("<>").partition("@")[0]
        if job in jobs:
            arrived[job].append(mail["arrived"])
        else:
            unknown.append(f"{mail['message_id']} belongs to no job")
    texts = {text["job"]: [text["start"]] for text in evidence.of("text") if text["job"] in jobs}
    return [
        _all_told(evidence, jobs, arrived, unknown),
        _once(evidence, jobs, arrived),
        _none_late(evidence, jobs, arrived | texts),
        _withdrawn(evidence, jobs),
    ]


def _all_told(
    evidence: Evidence, jobs: dict[str, Json], arrived: dict[str, list[float]], unknown: list[str]
) -> Line:
    told = {
        (job["appointment_id"], job["party"])
        for id_, job in jobs.items()
        if job["kind"] in _SAYS_CONFIRMED and job["channel"] == "email" and id_ in arrived
    }
    wanted = {
        (id_, party)
        for id_, row in evidence.appointments.items()
        if row["status"] == "confirmed" and row["provider_id"] in evidence.practices
        for party in ("patient", "provider")
    }
    against = unknown + [f"no mail to the {party} of {id_}" for id_, party in sorted(wanted - told)]
    figure = f"{len(wanted)} wanted, {len(wanted - told)} missing"
    return Line("notifications: none missing", figure, len(wanted), against)


def _once(evidence: Evidence, jobs: dict[str, Json], arrived: dict[str, list[float]]) -> Line:
    said = Counter(
        (job["kind"], job["appointment_id"], job["party"], job["appointment_version"])
        for id_, job in jobs.items()
        if job["channel"] == "email" and id_ in arrived and job["kind"] in _SAYS_CONFIRMED
    )
    against = [
        f"{n} different mails {kind} to the {party} of {id_}"
        for (kind, id_, party, _), n in said.items()
        if n > 1
    ]
    repeats = 0
    for id_, times in arrived.items():
        times.sort()
        repeats += len(times) - 1
        for again in times[1:]:
            crashed = any(start < again < end + _LEASE for start, end in evidence.excuses)
            if not crashed:
                against.append(f"{id_} came again at {again:.0f} without any crash")
    figure = f"{sum(map(len, arrived.values()))} mails, {repeats} repeated by crashes"
    return Line("notifications: twice only after a crash", figure, len(arrived), against)


def _none_late(evidence: Evidence, jobs: dict[str, Json], arrived: dict[str, list[float]]) -> Line:
    against, judged = [], 0
    for id_, times in arrived.items():
        job = jobs[id_]
        row = evidence.appointments.get(job["appointment_id"] or "")
        if (
            row is None
            or row["status"] != "cancelled"
            or job["kind"] not in (*_SAYS_CONFIRMED, "reminder")
        ):
            continue
        judged += 1
        limit = evidence.deadline(row["cancelled_at"], _AFTER_CANCEL)
        if times[0] > limit:
            late = times[0] - row["cancelled_at"]
            against.append(f"{job['kind']} of {row['id']} came {late:.1f} s after its end")
    figure = f"{judged} mails about what ended, {len(against)} too late"
    promise = "notifications: none 5 s after the end"
    return Line(promise, figure, judged, against, is_speed=True)


def _withdrawn(evidence: Evidence, jobs: dict[str, Json]) -> Line:
    """No reminder waits for an appointment that will not take place."""
    reminders = [job for job in jobs.values() if job["kind"] == "reminder"]
    against = []
    for job in reminders:
        row = evidence.appointments.get(job["appointment_id"] or "")
        if row and row["status"] == "cancelled" and job["status"] in ("queued", "sending"):
            against.append(f"a reminder of {row['id']}, which was cancelled, is {job['status']}")
    figure = f"{len(reminders)} reminders, {len(against)} for nothing"
    return Line("notifications: reminders end with it", figure, len(reminders), against)
