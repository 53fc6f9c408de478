"""The pause that a channel gets when nothing can be sent over it."""

import random
from time import monotonic

_FIRST, _LONGEST = 0.5, 10.0


class Rest:
    """Grows while the channel stays down; one answer ends it. Jobs wait and lose nothing."""

    def __init__(self) -> None:
        self._failures = 0
        self._until = 0.0

    @property
    def is_over(self) -> bool:
        return monotonic() >= self._until

    def begin(self) -> bool:
        """False when the channel rests already: many messages may meet the same outage."""
        if not self.is_over:
            return False
        full = min(_FIRST * 2 ** min(self._failures, 10), _LONGEST)
        self._failures += 1
        self._until = monotonic() + full * random.uniform(0.5, 1.0)  # noqa: S311
        return True

    def end(self) -> None:
        self._failures = 0
        self._until = 0.0
