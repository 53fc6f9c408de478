"""The events that tell what becomes of messages. What is only in somebody's inbox is no event."""

from datetime import datetime
from typing import Any

import asyncpg

from notifications.domain.job import DeliveryStatus, Job
from notifications.domain.news import ChannelName, News
from notifications.domain.tellings import Telling
from shared.events.notification import (
    FailureReason,
    NotificationDelivered,
    NotificationEvent,
    NotificationFailed,
    ReminderFailed,
    ReminderScheduled,
    ReminderSent,
)

REASONS: dict[DeliveryStatus, FailureReason] = {
    DeliveryStatus.REFUSED: "refused",
    DeliveryStatus.DEFERRED: "too_late",
    DeliveryStatus.UNKNOWN: "unknown",
}
"""Why a message fails whose last attempt ended so."""


def scheduled(telling: Telling, now: datetime) -> NotificationEvent | None:
    """None for what is no reminder."""
    if telling.news is not News.REMINDER or telling.due_at is None:
        return None
    return ReminderScheduled(
        notification_id=telling.id,
        kind=telling.news.value,
        party=telling.party.value,
        recipient_id=telling.recipient_id,
        channel=telling.way[0].value,
        appointment_id=telling.about.id if telling.about else None,
        due_at=telling.due_at,
        at=now,
    )


def sent(job: Job) -> NotificationEvent | None:
    kind = ReminderSent if job.kind == News.REMINDER else NotificationDelivered
    return None if job.channel == ChannelName.IN_APP else kind(**_facts(job))


def failed(job: Job, reason: FailureReason) -> NotificationEvent | None:
    kind = ReminderFailed if job.kind == News.REMINDER else NotificationFailed
    return None if job.channel == ChannelName.IN_APP else kind(**_facts(job), reason=reason)


def failed_row(row: asyncpg.Record, *, reason: FailureReason) -> NotificationEvent | None:
    """The same of a job that no worker has in hand, by its row and the time ``now`` in it."""
    if row["channel"] == ChannelName.IN_APP:
        return None
    kind = ReminderFailed if row["kind"] == News.REMINDER else NotificationFailed
    return kind(
        notification_id=row["id"],
        kind=row["kind"],
        party=row["party"],
        recipient_id=row["recipient_id"],
        channel=row["channel"],
        appointment_id=row["appointment_id"],
        due_at=row["due_at"],
        at=row["now"],
        reason=reason,
    )


def _facts(job: Job) -> dict[str, Any]:
    return {
        "notification_id": job.id,
        "kind": job.kind,
        "party": job.party,
        "recipient_id": job.recipient_id,
        "channel": job.channel,
        "appointment_id": job.appointment_id,
        "due_at": job.due_at,
        "at": job.now,
    }
