"""Made-up facts, so that templates can be looked at without anybody's appointment."""

from datetime import datetime, timedelta
from uuid import UUID

from notifications.domain.facts import (
    AnyFacts,
    CalendarFacts,
    ConflictFacts,
    Facts,
    WebhookFacts,
)
from notifications.domain.job import Contact, Job
from notifications.domain.news import ChannelName, News, Party

_NOBODY = UUID("01900000-0000-7000-8000-000000000000")


def sample_facts(news: News, now: datetime) -> AnyFacts:
    start = now.replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
    match news:
        case News.CONFLICT_FOUND:
            return ConflictFacts(
                provider_id=_NOBODY, cause="rules", count=2, is_complete=True, starts=[start]
            )
        case News.CALENDAR_BROKEN:
            return CalendarFacts(provider_id=_NOBODY, connection_id=_NOBODY, calendar="google")
        case News.WEBHOOK_DISABLED:
            return WebhookFacts(
                provider_id=_NOBODY,
                endpoint_id=_NOBODY,
                host="integrator.example",
                because="failing",
            )
    return Facts(
        appointment_id=_NOBODY,
        patient_id=_NOBODY,
        patient_timezone="Europe/Athens",
        provider_id=_NOBODY,
        provider_name="Dr. Sample",
        provider_timezone="Europe/Athens",
        start=start,
        end=start + timedelta(minutes=30),
        mode="in_person",
        location_name="Sample clinic",
        location_address="1 Sample Street",
        pending_expires_at=start - timedelta(days=1),
        cancellation_cause="provider",
    )


def sample_job(news: News, party: Party, *, language: str, timezone: str, now: datetime) -> Job:
    """As if a sender had it in hand."""
    return Job(
        id=_NOBODY,
        kind=news.value,
        party=party,
        channel=ChannelName.EMAIL.value,
        fallback=(),
        recipient_id=_NOBODY,
        recipient=Contact(
            name="Sam Sample",
            email=None,
            phone=None,
            language=language,
            timezone=timezone,
            is_erased=False,
        ),
        patient_name="Sam Sample",
        stored=sample_facts(news, now).stored,
        appointment_id=None,
        version=1,
        wanted_status=None,
        appointment_status=None,
        replaced_version=None,
        now=now,
        due_at=now,
        expires_at=now + timedelta(hours=1),
        unknown_attempts=0,
        unknown_since=None,
        traceparent=None,
    )
