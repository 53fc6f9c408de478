"""What there is to tell, to whom, and by which ways."""

from enum import StrEnum

from shared.events.booking import AppointmentEvent


class Party(StrEnum):
    """As whom somebody is in an appointment, and is told of it."""

    PATIENT = "patient"
    PROVIDER = "provider"


class ChannelName(StrEnum):
    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    IN_APP = "in_app"


class Category(StrEnum):
    """What people choose their channels for."""

    APPOINTMENTS = "appointments"
    REMINDERS = "reminders"
    AFTER_VISIT = "after_visit"
    OPERATIONS = "operations"
    """What a provider has to look after: conflicts, broken calendars, disabled webhooks."""


class News(StrEnum):
    REQUESTED = "requested"
    REQUEST_EXPIRES = "request_expires"
    CONFIRMED = "confirmed"
    RESCHEDULED = "rescheduled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    REQUEST_EXPIRED = "request_expired"
    REMINDER = "reminder"
    THANKS = "thanks"
    FEEDBACK = "feedback"
    CONFLICT_FOUND = "conflict_found"
    CALENDAR_BROKEN = "calendar_broken"
    WEBHOOK_DISABLED = "webhook_disabled"

    @property
    def category(self) -> Category:
        return _CATEGORIES.get(self, Category.APPOINTMENTS)

    @property
    def can_wait(self) -> bool:
        """It keeps quiet hours, and whoever gets it by mail can end it with one click."""
        return self.category in (Category.REMINDERS, Category.AFTER_VISIT)


_CATEGORIES = {
    News.REMINDER: Category.REMINDERS,
    News.THANKS: Category.AFTER_VISIT,
    News.FEEDBACK: Category.AFTER_VISIT,
    News.CONFLICT_FOUND: Category.OPERATIONS,
    News.CALENDAR_BROKEN: Category.OPERATIONS,
    News.WEBHOOK_DISABLED: Category.OPERATIONS,
}

# A hold that ended was never more than a wish, and of a move the new appointment tells.
_OF_CAUSE = {
    "patient": News.CANCELLED,
    "provider": News.CANCELLED,
    "system": News.CANCELLED,
    "rejected": News.REJECTED,
    "pending_expired": News.REQUEST_EXPIRED,
}


def news_of(appointment: AppointmentEvent) -> News | None:
    """What both parties are to be told at once of the appointment as it is now; None for nothing.

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


def _was_more_than_held(appointment: AppointmentEvent) -> bool:
    """Only a hold has an end; confirming or requesting takes it away."""
    return appointment.hold_expires_at is None
