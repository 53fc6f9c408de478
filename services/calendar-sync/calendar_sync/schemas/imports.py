"""Calendar files to import, and what became of them."""

from typing import Annotated, Any
from uuid import UUID

from shared.fields import Answer, Instant, Name
from shared.fields.parsed import Parsed, wrong
from shared.idempotency import KeyedBody

MOST_BYTES = 1024 * 1024


def _file(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong("NOT_TEXT", "Must be text.")
    if len(value) > MOST_BYTES or len(value.encode()) > MOST_BYTES:
        raise wrong("TOO_LONG", f"A file may have at most {MOST_BYTES} bytes.")
    return value


class ImportIn(KeyedBody):
    """A file under the name of an earlier import takes its place."""

    name: Name
    file: Annotated[str, Parsed(_file, {"type": "string", "maxLength": MOST_BYTES})]
    """The text of an iCalendar file (RFC 5545)."""


class SkippedOut(Answer):
    """Events that block nothing: `cancelled`, `declined`, `free`, `ours`, `without_length`,
    `outside_of_time`, or not to be understood: `no_start`, `invalid`, `too_large`,
    `nested_too_deep`, `too_many_occurrences`, `too_much_work`."""

    reason: str
    count: int
    lines: list[int]
    """Where the first of them stand in the file."""


class UnknownZoneOut(Answer):
    """Its times were read as the provider's own; ``line`` is the first of them."""

    zone: str
    line: int


class ImportOut(Answer):
    """``start`` and ``end`` bound the time in which events were looked for."""

    id: UUID
    name: str
    imported_at: Instant
    imported_by: UUID
    created_at: Instant
    start: Instant
    end: Instant
    event_count: int
    imported_event_count: int
    blocked_time_count: int
    skipped: list[SkippedOut]
    unknown_zones: list[UnknownZoneOut]


class ImportsOut(Answer):
    items: list[ImportOut]
