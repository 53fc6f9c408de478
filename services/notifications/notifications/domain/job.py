"""Whether a job may be sent at this moment, and what follows from how an attempt ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from notifications.domain.facts import Facts
from notifications.domain.news import News, Party

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How to reach a person; an erased one is empty."""

    name: str | None
    email: str | None
    phone: str | None
    language: str
    timezone: str
    is_erased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A claimed job, as things stand at ``now`` by the database's clock."""

    id: UUID
    news: News
    party: Party
    facts: Facts
    recipient: Contact | None
    patient_name: str | None
    now: datetime
    expires_at: datetime
    wanted_status: str
    """The appointment's status that the message is about."""
    appointment_status: str | None
    unknown_attempts: int


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a job must not be sent now, and what becomes of it; QUEUED means that it waits."""

    becomes: JobStatus
    reason: str


def objection(job: Job, *, address: str | None) -> Objection | None:
    """None when the message may leave at this moment."""
    if job.appointment_status != job.wanted_status:
        return Objection(
            JobStatus.WITHDRAWN, f"the appointment is {job.appointment_status or 'unknown'}"
        )
    if job.recipient is not None and job.recipient.is_erased:
        return Objection(JobStatus.WITHDRAWN, "the recipient is erased")
    if job.now >= job.expires_at:
        return Objection(JobStatus.FAILED, "too late to be of use")
    if job.unknown_attempts >= MOST_UNKNOWN:
        return Objection(JobStatus.FAILED, "too often without knowing whether it was sent")
    if job.recipient is None:
        return Objection(JobStatus.QUEUED, "the recipient is not known yet")
    if address is None:
        return Objection(JobStatus.QUEUED, "the recipient has no address for this channel")
    return None


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
