"""Questions that this process was asked, and the answers it gave, until they are wrong.

A kept answer is given again only after the database has said that the provider's version is still
the one it was made from, and that time alone has not changed it. Whoever holds a timeslot of the
service sees that in their answer, so theirs is never kept and never another's.
"""

from collections import OrderedDict
from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from availability.schemas.timeslots import AvailabilityQuery

_MOST_BYTES = 64 * 1024 * 1024
_BESIDES = 2048

Letters = tuple[str, bytes]
"""Path and query as they were sent."""


class KeptAnswer(NamedTuple):
    version: int
    until: datetime
    """From this instant on it may be another one though nothing was changed."""
    holders: Set[UUID]
    """Whose answer it is not."""
    etag: str
    body: bytes | None
    """None as long as only those have asked who had it already."""

    def is_for(self, user_id: UUID, *, body: bool) -> bool:
        """Whether it can be given to this user, or with ``body`` only named to them."""
        return user_id not in self.holders and not (body and self.body is None)

    def is_right(self, version: int, now: datetime) -> bool:
        return version == self.version and now < self.until


@dataclass(frozen=True, slots=True)
class Question:
    """What the letters mean, and the answer if one is kept."""

    provider_id: UUID
    wanted: AvailabilityQuery
    answer: KeptAnswer | None = None


class Answers:
    """The questions asked last with their answers, up to a total size."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._known: OrderedDict[Letters, Question] = OrderedDict()
        self._room = most_bytes

    def find(self, letters: Letters) -> Question | None:
        found = self._known.get(letters)
        if found is not None:
            self._known.move_to_end(letters)
        return found

    def keep(self, letters: Letters, question: Question) -> None:
        if (before := self._known.pop(letters, None)) is not None:
            self._room += _size(before)
        self._known[letters] = question
        self._room -= _size(question)
        while self._room < 0:
            self._room += _size(self._known.popitem(last=False)[1])


def _size(question: Question) -> int:
    body = question.answer and question.answer.body
    return _BESIDES + len(body or b"")
