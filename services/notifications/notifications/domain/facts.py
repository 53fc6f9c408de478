"""What a message may say of an appointment, or of what a provider has to look after.

No contact data, which is looked up when the message leaves; no service, reason or notes, which may
tell of an illness to whoever reads the mail over a shoulder.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from notifications.domain.news import News
from shared.events.availability import ConflictFound
from shared.events.booking import AppointmentEvent, CancellationCause
from shared.events.calendar import CalendarConnectionBroken, CalendarKind
from shared.events.provider import Mode

MOST_TIMES = 5


class _Kept(BaseModel):
    """Kept with the job as JSON; fields are only ever added, with a default."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @cached_property
    def stored(self) -> dict[str, Any]:
        """As JSON."""
        return self.model_dump(mode="json")


class Facts(_Kept):
    """An appointment."""

    appointment_id: UUID
    patient_id: UUID
    patient_timezone: str
    provider_id: UUID
    provider_name: str
    provider_timezone: str
    service_id: UUID | None = None
    start: datetime
    end: datetime
    mode: Mode
    location_name: str | None = None
    location_address: str | None = None
    pending_expires_at: datetime | None = None
    cancellation_cause: CancellationCause | None = None
    rescheduled_from: UUID | None = None

    @classmethod
    def of(cls, appointment: AppointmentEvent) -> Self:
        return cls(
            appointment_id=appointment.id,
            patient_id=appointment.user_id,
            patient_timezone=appointment.patient_timezone,
            provider_id=appointment.provider_id,
            provider_name=appointment.provider_name,
            provider_timezone=appointment.provider_timezone,
            service_id=appointment.service_id,
            start=appointment.start,
            end=appointment.end,
            mode=appointment.mode,
            location_name=appointment.location_name,
            location_address=appointment.location_address,
            pending_expires_at=appointment.pending_expires_at,
            cancellation_cause=(
                appointment.cancellation.cause if appointment.cancellation else None
            ),
            rescheduled_from=appointment.rescheduled_from,
        )


class ConflictFacts(_Kept):
    """Appointments that are outside a provider's hours by now."""

    provider_id: UUID
    cause: str
    count: int
    is_complete: bool
    starts: list[datetime]
    """Of the earliest ones."""

    @classmethod
    def of(cls, conflict: ConflictFound) -> Self:
        return cls(
            provider_id=conflict.provider_id,
            cause=conflict.cause,
            count=len(conflict.appointments),
            is_complete=conflict.is_complete,
            starts=sorted(each.start for each in conflict.appointments)[:MOST_TIMES],
        )


class CalendarFacts(_Kept):
    """A provider's own calendar that cannot be read any more."""

    provider_id: UUID
    connection_id: UUID
    calendar: CalendarKind

    @classmethod
    def of(cls, broken: CalendarConnectionBroken) -> Self:
        return cls(provider_id=broken.provider_id, connection_id=broken.id, calendar=broken.kind)


class WebhookFacts(_Kept):
    """A provider's endpoint that is told nothing more."""

    provider_id: UUID
    endpoint_id: UUID
    host: str
    """Without path and query, which may hold a secret."""
    because: Literal["gone", "failing"]

    @classmethod
    def of(
        cls, provider_id: UUID, endpoint_id: UUID, url: str, because: Literal["gone", "failing"]
    ) -> Self:
        return cls(
            provider_id=provider_id,
            endpoint_id=endpoint_id,
            host=urlsplit(url).hostname or "",
            because=because,
        )


OperationsFacts: TypeAlias = ConflictFacts | CalendarFacts | WebhookFacts
AnyFacts: TypeAlias = Facts | OperationsFacts


def facts_of(news: News, stored: Mapping[str, Any]) -> AnyFacts:
    """Back from ``stored``."""
    match news:
        case News.CONFLICT_FOUND:
            return ConflictFacts.model_validate(stored)
        case News.CALENDAR_BROKEN:
            return CalendarFacts.model_validate(stored)
        case News.WEBHOOK_DISABLED:
            return WebhookFacts.model_validate(stored)
    return Facts.model_validate(stored)
