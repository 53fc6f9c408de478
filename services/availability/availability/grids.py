"""When a service's places could be booked if nobody had booked them, as far as it is known.

That follows from the set-up and the exceptions. News of neither says what it is about, so who keeps
days keeps this with them, and forgets it with them.
"""

from collections.abc import Sequence
from typing import NamedTuple

from availability.domain.intervals import Interval
from availability.domain.schedule import AvailabilityException
from availability.domain.timeslots import Grid
from availability.set_up import SetUp

_OF_A_RANGE = 200


class Grids(NamedTuple):
    exceptions: Sequence[AvailabilityException]
    covered: Interval
    """They are all that these starts may depend on."""
    starts: Interval = (0, 0)
    """Of the grids."""
    at_places: Sequence[Grid] = ()
    """For each place of the set-up in turn."""

    def cover(self, span: Interval) -> bool:
        """Whether all exceptions are known that starts in the span may depend on."""
        first, after = self.covered
        return span[0] >= span[1] or (first <= span[0] and span[1] <= after)

    def having(self, set_up: SetUp, starts: Interval) -> "Grids":
        """The same with grids that have these starts, which are covered."""
        if self.starts[0] <= starts[0] and starts[1] <= self.starts[1]:
            return self
        grids = [set_up.grid(at, starts, self.exceptions) for at in set_up.places]
        return Grids(self.exceptions, self.covered, starts, grids)

    @property
    def size(self) -> int:
        """About how many bytes they take."""
        ranges = sum(len(room.starts) for grid in self.at_places for room in grid.rooms)
        return _OF_A_RANGE * ranges
