"""What becomes of holds."""

from datetime import datetime
from enum import StrEnum

from bookings.domain.lifecycle import Status


class Outcome(StrEnum):
    """In the words that reservations understands; it reads over others."""

    HELD = "held"
    USED = "used"
    """Confirmed or requested, whatever has become of that."""
    RELEASED = "released"
    EXPIRED = "expired"


_OF_CAUSE = {"hold_expired": Outcome.EXPIRED, "hold_released": Outcome.RELEASED}


def outcome_of(
    status: Status, *, hold_expires_at: datetime | None, cause: str | None, now: datetime
) -> Outcome:
    """A hold whose time is over has expired, also while no worker has ended it."""
    if status is Status.HELD:
        is_live = hold_expires_at is not None and hold_expires_at > now
        return Outcome.HELD if is_live else Outcome.EXPIRED
    return _OF_CAUSE.get(cause or "", Outcome.USED)
