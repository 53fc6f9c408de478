"""What notifications tells about its messages: to whom and how, never what they say.

Each is about an appointment, or about its recipient where there is none. ``sequence`` is the
instant in microseconds, so it grows but does not count.
"""

from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.envelope import EventData

FailureReason = Literal["refused", "unreachable", "too_late", "unknown"]
"""The next system has refused it; the recipient has no address; it was of no use any more; nobody
can say whether it arrived."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NotificationEvent(EventData):
    source: ClassVar[str] = "/notifications"

    notification_id: UUID
    """The same through all events about one message."""
    kind: str
    party: Literal["patient", "provider"]
    recipient_id: UUID
    channel: str
    appointment_id: UUID | None
    due_at: datetime
    at: datetime
    """When this became true."""

    @property
    def subject(self) -> str:
        return str(self.appointment_id or self.recipient_id)

    @property
    def sequence(self) -> int:
        return (self.at - _EPOCH) // timedelta(microseconds=1)


class ReminderScheduled(NotificationEvent):
    """A reminder is to be sent at ``due_at``; told again when that has changed."""

    type: ClassVar[str] = "notification.reminder_scheduled"


class ReminderSent(NotificationEvent):
    type: ClassVar[str] = "notification.reminder_sent"


class ReminderFailed(NotificationEvent):
    type: ClassVar[str] = "notification.reminder_failed"

    reason: FailureReason


class NotificationDelivered(NotificationEvent):
    """A message that is no reminder was handed to the recipient's mail server or carrier."""

    type: ClassVar[str] = "notification.delivered"


class NotificationFailed(NotificationEvent):
    """A message that is no reminder will not be sent any more."""

    type: ClassVar[str] = "notification.failed"

    reason: FailureReason
