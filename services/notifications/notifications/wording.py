"""The words that templates put into their sentences, made harmless one by one."""

import unicodedata

from notifications.domain.facts import (
    CalendarFacts,
    ConflictFacts,
    Facts,
    OperationsFacts,
    WebhookFacts,
)
from notifications.domain.job import Job
from notifications.domain.local_time import local_time, zone_of
from notifications.domain.news import Party
from notifications.domain.plain_text import one_line

_LONGEST_ADDRESS = 160
_CALENDARS = {
    "google": "Google Calendar",
    "microsoft": "Microsoft 365",
    "caldav": "CalDAV",
    "ics": "iCalendar",
}
_NO_APPOINTMENT: dict[str, object] = {
    "start": None,
    "times": [],
    "more": 0,
    "appointment_link": "",
}


def words_of(job: Job, *, origin: str, language: str) -> dict[str, object]:
    """All that a template may use; names are taken literally, whatever they look like."""
    facts = job.facts
    words: dict[str, object] = {"recipient": foreign(job.recipient.name if job.recipient else None)}
    zone_name = job.recipient.timezone if job.recipient else None
    if isinstance(facts, Facts):
        return words | _of_appointment(job, facts, zone_name, origin, language)
    return words | _NO_APPOINTMENT | _of_operations(facts, zone_name, origin, language)


def foreign(text: str | None, longest: int = 80) -> str:
    """Other people's text on one line; when it runs from right to left it is isolated, so that it
    turns nothing around it."""
    line = one_line(text, longest)
    if line.isascii():
        return line
    turns = any(unicodedata.bidirectional(each) in ("R", "AL", "AN") for each in line)
    return f"\u2068{line}\u2069" if turns else line


def _of_operations(
    facts: OperationsFacts, zone_name: str | None, origin: str, language: str
) -> dict[str, object]:
    provider = f"/providers/{facts.provider_id}"
    match facts:
        case ConflictFacts():
            zone = zone_of(zone_name)
            return {
                "count": facts.count,
                "is_complete": facts.is_complete,
                "times": [local_time(start, zone, language) for start in facts.starts],
                "more": facts.count - len(facts.starts),
                "schedule_link": f"{origin}{provider}/appointments",
            }
        case CalendarFacts():
            return {
                "calendar": _CALENDARS[facts.calendar],
                "schedule_link": f"{origin}{provider}/calendars",
            }
        case WebhookFacts():
            return {
                "endpoint": foreign(facts.host),
                "enable_route": f"/v1{provider}/webhook-endpoints/{facts.endpoint_id}",
                "cause": facts.because,
                "schedule_link": f"{origin}{provider}/webhook-endpoints",
            }


def _of_appointment(
    job: Job, facts: Facts, zone_name: str | None, origin: str, language: str
) -> dict[str, object]:
    snapshot = facts.patient_timezone if job.party is Party.PATIENT else facts.provider_timezone
    zone = zone_of(zone_name, snapshot)
    start = local_time(facts.start, zone, language)
    there = local_time(facts.start, zone_of(facts.provider_timezone), language)
    places = (foreign(facts.location_name), foreign(facts.location_address, _LONGEST_ADDRESS))
    return _NO_APPOINTMENT | {
        "patient": foreign(job.patient_name),
        "provider": foreign(facts.provider_name),
        "start": start,
        "start_there": there if _is_elsewhere(facts, start.offset, there.offset) else None,
        "minutes": round((facts.end - facts.start).total_seconds() / 60),
        "mode": facts.mode,
        "place": ", ".join(filter(None, places)),
        "answer_by": (
            local_time(facts.pending_expires_at, zone, language)
            if facts.pending_expires_at
            else None
        ),
        "cause": facts.cancellation_cause,
        "is_for_patient": job.party is Party.PATIENT,
        "appointment_link": f"{origin}/appointments/{facts.appointment_id}",
        "rebook_link": f"{origin}/providers/{facts.provider_id}",
    }


def _is_elsewhere(facts: Facts, here: str, there: str) -> bool:
    """Whoever has to travel there needs the time that the clocks show there."""
    return facts.mode == "in_person" and here != there
