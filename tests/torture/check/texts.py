"""Texts by SMS: each reminder that is due goes out, and none of them twice."""

from collections import Counter

from tests.torture.check.evidence import Evidence, Json
from tests.torture.check.verdicts import Line


def lines(evidence: Evidence) -> list[Line]:
    """The carrier may keep a text and lose its answer; it is asked about it before the next try."""
    jobs = {
        row["id"]: row
        for row in evidence.rows("notifications.notification_jobs")
        if row["channel"] == "sms"
    }
    came = Counter(text["job"] for text in evidence.of("text"))
    against = [f"{job} came {n} times" for job, n in came.items() if n > 1]
    against += [f"{job} came, and is nobody's" for job in came.keys() - jobs.keys()]
    sent = [id_ for id_, job in jobs.items() if job["status"] == "sent"]
    against += [f"{id_} was sent and never came" for id_ in sent if not came[id_]]
    told = {job["appointment_id"] for job in jobs.values() if job["status"] == "sent"}
    wanted = _wanted(evidence)
    against += [f"no text about {id_}" for id_ in sorted(wanted - told)]
    again = sum(job.get("attempts", 1) > 1 for job in jobs.values())
    figure = f"{len(wanted)} wanted, {came.total()} came, {again} after several attempts"
    return [Line("notifications: each SMS once", figure, came.total(), against)]


def _wanted(evidence: Evidence) -> set[str]:
    """Appointments that notifications knew of before the text was due, and that lasted longer.

    A time that is over is not made up for, which is how reminders are meant.
    """
    heard: dict[str, float] = {
        row["event_id"]: row["received_at"]
        for row in evidence.rows("inbox")
        if row["consumer"] == "notifications"
    }
    confirmed: dict[str, Json] = {
        row["subject"]: row
        for row in evidence.rows("bookings.outbox")
        if row["type"] == "booking.confirmed"
    }
    return {
        entry["appointment"]
        for entry in evidence.of("text wanted")
        if entry["appointment"] in confirmed
        and heard.get(confirmed[entry["appointment"]]["id"], entry["due"]) < entry["due"]
        and evidence.appointments[entry["appointment"]]["status"] == "confirmed"
    }
