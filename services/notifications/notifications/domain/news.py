"""What an appointment's change means to the people in it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

from notifications.domain.facts import Facts
from shared.events.booking import AppointmentEvent


class Party(StrEnum):
    """As whom somebody is in an appointment, and is told of it."""

    PATIENT = "patient"
    PROVIDER = "provider"


class News(StrEnum):
    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    RESCHEDULED = "rescheduled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    REQUEST_EXPIRED = "request_expired"


class ChannelName(StrEnum):
    EMAIL = "email"


# A hold that ended was never more than a wish, and of a move the new appointment tells.
_OF_CAUSE = {
    "patient": News.CANCELLED,
    "provider": News.CANCELLED,
    "system": News.CANCELLED,
    "rejected": News.REJECTED,
    "pending_expired": News.REQUEST_EXPIRED,
}

_AT_LEAST = timedelta(hours=1)
_AT_MOST = timedelta(days=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One piece of news for one person over one channel."""

    news: News
    channel: ChannelName
    party: Party
    recipient_id: UUID
    appointment_id: UUID
    appointment_version: int
    appointment_status: str
    facts: Facts
    expires_at: datetime

    @property
    def dedupe_key(self) -> str:
        """Without the version: an appointment is confirmed once, however often it is changed."""
        return f"{self.appointment_id}:{self.news}:{self.party}:{self.channel}"

    @classmethod
    def of(cls, appointment: AppointmentEvent, news: News, party: Party) -> Self:
        return cls(
            news=news,
            channel=ChannelName.EMAIL,
            party=party,
            recipient_id=(
                appointment.user_id if party is Party.PATIENT else appointment.provider_id
            ),
            appointment_id=appointment.id,
            appointment_version=appointment.version,
            appointment_status=appointment.status,
            facts=Facts.of(appointment),
            expires_at=useful_until(appointment),
        )


def news_of(appointment: AppointmentEvent) -> News | None:
    """What both parties are to be told of the appointment as it is now; None for nothing.

    Judged by what the appointment is, not by the event's name, so that whichever event of it
    arrives first, or last, leads to the same.
    """
    match appointment.status:
        case "pending":
            return News.REQUESTED
        case "confirmed":
            return News.RESCHEDULED if appointment.rescheduled_from else News.CONFIRMED
        case "cancelled" if _was_more_than_held(appointment) and appointment.cancellation:
            return _OF_CAUSE.get(appointment.cancellation.cause)
    return None


def tellings(appointment: AppointmentEvent) -> list[Telling]:
    """One for each party, or none."""
    news = news_of(appointment)
    return [] if news is None else [Telling.of(appointment, news, party) for party in Party]


def useful_until(appointment: AppointmentEvent) -> datetime:
    """Until the appointment begins, but for at least an hour and at most three days.

    The news counts from when it happened: a history that is replayed into an empty database tells
    nobody what was so weeks ago.
    """
    happened_at = appointment.change.at
    return min(max(appointment.start, happened_at + _AT_LEAST), happened_at + _AT_MOST)


def _was_more_than_held(appointment: AppointmentEvent) -> bool:
    """Only a hold has an end; confirming or requesting takes it away."""
    return appointment.hold_expires_at is None
