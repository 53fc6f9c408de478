"""Whether a job may be sent at this moment, and what follows from how an attempt ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any
from uuid import UUID

from notifications.domain.facts import AnyFacts, facts_of
from notifications.domain.local_time import zone_of
from notifications.domain.news import ChannelName, News, Party
from notifications.domain.quiet_hours import QuietHours
from shared.events.notification import FailureReason

MOST_UNKNOWN = 5
"""After so many attempts that may have arrived, another one annoys more than it helps."""


class JobStatus(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


class DeliveryStatus(StrEnum):
    """How one attempt ended."""

    SENDING = "sending"
    SENT = "sent"
    """The next system has taken responsibility for it."""
    DEFERRED = "deferred"
    """Not sent, and trying again makes sense."""
    REFUSED = "refused"
    """Not sent, and trying again makes none."""
    UNKNOWN = "unknown"
    """Nobody can say whether it was sent."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended, and what the next system said to it, without anybody's address."""

    status: DeliveryStatus
    response: str
    provider_id: str | None = None
    """The next system's own id of the message."""
    retry_after: timedelta = timedelta()
    """How long the next system wants to be left alone."""
    dead_devices: tuple[str, ...] = ()
    """Tokens that lead nowhere any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How to reach a person, and how they want it; an erased one is empty."""

    name: str | None
    email: str | None
    phone: str | None
    language: str
    timezone: str
    is_erased: bool
    devices: tuple[str, ...] = ()
    quiet: QuietHours | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """A claimed job, as things stand at ``now`` by the database's clock."""

    id: UUID
    kind: str
    party: Party
    channel: str
    fallback: tuple[str, ...]
    recipient_id: UUID
    recipient: Contact | None
    patient_name: str | None
    stored: Mapping[str, Any]
    appointment_id: UUID | None
    version: int | None
    """The appointment's, when this was planned."""
    wanted_status: str | None
    """The appointment's status that the message is about."""
    appointment_status: str | None
    replaced_version: int | None
    """Of the appointment that this one replaces."""
    now: datetime
    due_at: datetime
    expires_at: datetime
    unknown_attempts: int
    unknown_since: datetime | None
    """When the first of them began."""
    traceparent: str | None

    @cached_property
    def news(self) -> News:
        return News(self.kind)

    @cached_property
    def facts(self) -> AnyFacts:
        """Raises ValueError when what is stored cannot be read."""
        return facts_of(self.news, self.stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why a job must not be sent now, and what becomes of it; QUEUED means that it waits."""

    becomes: JobStatus
    reason: str
    code: FailureReason | None = None
    """Of one that fails."""
    tries_next_channel: bool = False
    until: datetime | None = None
    """When it may leave; None when that depends on somebody's contact details."""


def objection(job: Job, *, address: str | None, is_on: bool = True) -> Objection | None:
    """None when the message may leave at this moment."""
    if job.appointment_status != job.wanted_status:
        return _withdrawn(f"the appointment is {job.appointment_status or 'unknown'}")
    if job.recipient is not None and job.recipient.is_erased:
        return _withdrawn("the recipient is erased")
    if job.now >= job.expires_at:
        return _failed("too late to be of use", "too_late")
    if job.unknown_attempts >= MOST_UNKNOWN:
        return _failed("too often without knowing whether it was sent", "unknown")
    if not is_on:
        return _elsewhere("the channel is off")
    if job.recipient is None:
        # Their own inbox is known nevertheless.
        if job.channel == ChannelName.IN_APP:
            return None
        return Objection(becomes=JobStatus.QUEUED, reason="the recipient is not known yet")
    if until := _quiet_until(job, job.recipient):
        return Objection(becomes=JobStatus.QUEUED, reason="quiet hours", until=until)
    if address is None:
        return _without_address(job)
    return None


def _without_address(job: Job) -> Objection:
    reason = "the recipient has no address for this channel"
    if job.fallback:
        return _elsewhere(reason)
    if job.channel == ChannelName.PUSH:
        return _withdrawn("the recipient has no device")
    return Objection(becomes=JobStatus.QUEUED, reason=reason)


def _quiet_until(job: Job, recipient: Contact) -> datetime | None:
    """For what is late, or was planned before the recipient's wishes were known."""
    if recipient.quiet is None or not job.news.can_wait:
        return None
    window = recipient.quiet.around(job.now, zone_of(recipient.timezone))
    return window[1] if window and window[1] < job.expires_at else None


def _withdrawn(reason: str) -> Objection:
    return Objection(becomes=JobStatus.WITHDRAWN, reason=reason)


def _failed(reason: str, code: FailureReason) -> Objection:
    return Objection(becomes=JobStatus.FAILED, reason=reason, code=code)


def _elsewhere(reason: str) -> Objection:
    return Objection(becomes=JobStatus.QUEUED, reason=reason, tries_next_channel=True)


_AFTER = {
    DeliveryStatus.SENT: JobStatus.SENT,
    DeliveryStatus.REFUSED: JobStatus.FAILED,
    DeliveryStatus.DEFERRED: JobStatus.QUEUED,
    DeliveryStatus.UNKNOWN: JobStatus.QUEUED,
}


def job_after(delivery: DeliveryStatus) -> JobStatus:
    """What an attempt's end makes of its job."""
    return _AFTER[delivery]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Growing pauses between the attempts of one job."""

    first: timedelta = timedelta(seconds=15)
    longest: timedelta = timedelta(minutes=15)

    def pause(self, attempt: int, *, jitter: float) -> timedelta:
        """After the first, second, … attempt; ``jitter`` (0 to 1) parts those failed together."""
        doublings: int = 2 ** min(attempt - 1, 20)
        return min(self.first * doublings, self.longest) * (0.5 + jitter / 2)
