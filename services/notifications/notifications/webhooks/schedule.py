"""When a delivery is tried again, and when an endpoint has failed for too long."""

from datetime import timedelta

PAUSES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=8),
    timedelta(hours=10),
)
"""After the first, second, … attempt; together a little more than a day."""

DISABLED_AFTER = timedelta(days=5)
"""An endpoint that has failed so long, and not succeeded once, is told nothing more."""

LONGEST_WISH = timedelta(hours=1)
"""A receiver is left alone so long at its own wish (Retry-After, RFC 9110)."""

_JITTER = 0.2


def pause_after(attempts: int, *, chance: float, wish: timedelta | None = None) -> timedelta | None:
    """How long to wait after so many attempts, not less than the receiver wishes; None when that
    was the last. ``chance`` is between 0 and 1 and spreads those who failed together."""
    if attempts > len(PAUSES):
        return None
    pause = PAUSES[attempts - 1] * (1 + _JITTER * (chance - 0.5))
    return max(pause, min(wish or timedelta(), LONGEST_WISH))
