"""The states of an appointment and every allowed move between them."""

from enum import StrEnum

from shared.errors import Conflict


class Status(StrEnum):
    HELD = "held"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


ACTIVE = frozenset({Status.HELD, Status.PENDING, Status.CONFIRMED})
"""Claims exist exactly while an appointment is in one of these."""


class Action(StrEnum):
    """What can happen to an appointment, in the words of its audit trail."""

    HELD_CREATED = "held_created"
    HOLD_EXTENDED = "hold_extended"
    HOLD_RELEASED = "hold_released"
    HOLD_EXPIRED = "hold_expired"
    REQUEST_SUBMITTED = "request_submitted"
    CONFIRMED = "confirmed"
    APPROVED = "approved"
    REJECTED = "rejected"
    PENDING_EXPIRED = "pending_expired"
    CANCELLED_BY_PATIENT = "cancelled_by_patient"
    CANCELLED_BY_PROVIDER = "cancelled_by_provider"
    CANCELLED_BY_SYSTEM = "cancelled_by_system"
    RESCHEDULED = "rescheduled"
    COMPLETED = "completed"
    NO_SHOW = "no_show"
    NOTE_ADDED = "note_added"
    WORDS_ERASED = "words_erased"
    REMINDER_SCHEDULED = "reminder_scheduled"
    REMINDER_SENT = "reminder_sent"
    REMINDER_FAILED = "reminder_failed"
    CALENDAR_EVENT_WRITTEN = "calendar_event_written"
    CALENDAR_EVENT_FAILED = "calendar_event_failed"


class IllegalTransition(Conflict):
    """This action is not possible in this state."""

    code = "invalid_transition"
    title = "The appointment's state does not allow this"

    def __init__(self, status: Status, action: Action, **figures: object) -> None:
        super().__init__(
            f"an appointment that is {status} allows no {action}", status=status.value, **figures
        )


TRANSITIONS: dict[tuple[Status, Action], Status] = {
    (Status.HELD, Action.CONFIRMED): Status.CONFIRMED,
    (Status.HELD, Action.REQUEST_SUBMITTED): Status.PENDING,
    (Status.HELD, Action.HOLD_EXTENDED): Status.HELD,
    (Status.HELD, Action.HOLD_RELEASED): Status.CANCELLED,
    (Status.HELD, Action.HOLD_EXPIRED): Status.CANCELLED,
    (Status.HELD, Action.CANCELLED_BY_PROVIDER): Status.CANCELLED,
    (Status.HELD, Action.CANCELLED_BY_SYSTEM): Status.CANCELLED,
    (Status.PENDING, Action.APPROVED): Status.CONFIRMED,
    (Status.PENDING, Action.REJECTED): Status.CANCELLED,
    (Status.PENDING, Action.PENDING_EXPIRED): Status.CANCELLED,
    (Status.PENDING, Action.CANCELLED_BY_PATIENT): Status.CANCELLED,
    (Status.PENDING, Action.CANCELLED_BY_PROVIDER): Status.CANCELLED,
    (Status.PENDING, Action.CANCELLED_BY_SYSTEM): Status.CANCELLED,
    (Status.PENDING, Action.RESCHEDULED): Status.CANCELLED,
    (Status.CONFIRMED, Action.CANCELLED_BY_PATIENT): Status.CANCELLED,
    (Status.CONFIRMED, Action.CANCELLED_BY_PROVIDER): Status.CANCELLED,
    (Status.CONFIRMED, Action.CANCELLED_BY_SYSTEM): Status.CANCELLED,
    (Status.CONFIRMED, Action.RESCHEDULED): Status.CANCELLED,
    (Status.CONFIRMED, Action.COMPLETED): Status.COMPLETED,
    (Status.CONFIRMED, Action.NO_SHOW): Status.NO_SHOW,
}


def after(status: Status, action: Action) -> Status:
    """The state that ``action`` leads to; any move not in the table is an IllegalTransition."""
    try:
        return TRANSITIONS[status, action]
    except KeyError:
        raise IllegalTransition(status, action) from None
