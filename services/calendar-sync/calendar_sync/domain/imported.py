"""What an imported calendar file blocks, and what of it does not count."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from calendar_sync.calendars.contract import ExternalEvent, Occurrence, Unreadable
from calendar_sync.domain.busy import Busy, Reader, instant_of, is_ours

MOST_TIMES = 3000
"""That one import blocks."""

_MOST_BEFORE_MERGING = 50_000
_MOST_LINES = 20


class TooManyTimes(ValueError):
    """More than an import may block."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Events of the file that block nothing, for one reason; the first of their lines."""

    reason: str
    count: int
    lines: tuple[int, ...]


@dataclass(slots=True)
class Gathering:
    """Takes in the events of a file one by one; ``lines`` are where each stands."""

    reader: Reader
    lines: Mapping[str, int]
    imported: int = 0
    _times: list[Busy] = field(default_factory=list)
    _skipped: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _seen: set[str] = field(default_factory=set)

    def add(self, event: ExternalEvent | Unreadable) -> None:
        """Raises TooManyTimes."""
        self._seen.add(event.id)
        if isinstance(event, Unreadable):
            self._skipped[event.reason].append(event.id)
            return
        times = self.reader.busy_times(event)
        if not times:
            self._skipped[_why_not(event, self.reader)].append(event.id)
            return
        self.imported += 1
        self._times += times
        if len(self._times) > _MOST_BEFORE_MERGING:
            raise TooManyTimes

    def blocked(self) -> list[Busy]:
        """In order and apart from each other. Raises TooManyTimes."""
        times = merged(self._times)
        if len(times) > MOST_TIMES:
            raise TooManyTimes
        return times

    def skipped(self) -> list[Skipped]:
        """The most frequent reason first."""
        reasons = {reason: list(ids) for reason, ids in self._skipped.items()}
        # The reader leaves out what is over, or too far ahead, before it reads it.
        unseen = [id_ for id_ in self.lines if id_ not in self._seen]
        if unseen:
            reasons["outside_of_time"] = reasons.get("outside_of_time", []) + unseen
        found = [
            Skipped(reason, len(ids), tuple(sorted(self._lines_of(ids))[:_MOST_LINES]))
            for reason, ids in reasons.items()
        ]
        return sorted(found, key=lambda each: (-each.count, each.reason))

    def _lines_of(self, ids: Iterable[str]) -> Iterable[int]:
        return (self.lines[id_] for id_ in ids if id_ in self.lines)


def merged(times: Iterable[Busy]) -> list[Busy]:
    """The same time in as few pieces as possible."""
    found: list[Busy] = []
    for start, end in sorted(times):
        if found and start <= found[-1].end:
            found[-1] = Busy(found[-1].start, max(end, found[-1].end))
        else:
            found.append(Busy(start, end))
    return found


def _why_not(event: ExternalEvent, reader: Reader) -> str:
    if is_ours(event, reader.host):
        return "ours"
    occurrences = event.occurrences
    taking = [each for each in occurrences if _flag(each) is None]
    if occurrences and not taking:
        return _flag(occurrences[0]) or "free"
    if taking and all(_has_no_length(each, reader) for each in taking):
        return "without_length"
    return "outside_of_time"


def _flag(occurrence: Occurrence) -> str | None:
    if occurrence.is_cancelled:
        return "cancelled"
    if occurrence.is_declined:
        return "declined"
    return "free" if occurrence.is_free else None


def _has_no_length(occurrence: Occurrence, reader: Reader) -> bool:
    start, end = (instant_of(each, reader.zone) for each in (occurrence.start, occurrence.end))
    return end <= start
