"""Reads calendar files that somebody sends, in a process of its own for each of them."""

import asyncio
from dataclasses import dataclass
from hashlib import sha256

from icalendar.timezone import tzp

from calendar_sync.calendars.contract import CalendarError, Temporary
from calendar_sync.calendars.expansion import Expander
from calendar_sync.domain.busy import Busy, Reader
from calendar_sync.domain.calendar_file import MOST_EVENTS, FileBroken, Layout, layout_of
from calendar_sync.domain.imported import MOST_TIMES, Gathering, Skipped, TooManyTimes
from calendar_sync.refusals import CalendarFileRefused, ImportsBusy
from shared.errors import FieldError

_AT_ONCE = 2
_PATIENCE = 5.0
"""Seconds in which it must be one's turn."""
_SECONDS = 12.0
"""For one file; with the wait for it less than the gateway's patience."""

_WRONG = {
    "NOT_A_CALENDAR": "This is no calendar file: it must begin with BEGIN:VCALENDAR.",
    "NOT_BALANCED": "Something ends here that has not begun.",
    "CUT_OFF": "The file ends in the middle; export it again.",
    "NO_EVENTS": "There is no event in this file.",
    "TOO_MANY_EVENTS": f"There are more than {MOST_EVENTS} events; import a part of them.",
    "TOO_MANY_TIMES": f"It blocks more than {MOST_TIMES} times; import a part of its events.",
    "TOO_MUCH_WORK": "Its recurring events take too long to work out; import a part of them.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A file as it was read; ``unknown_zones`` are read as the reader's, from these lines on."""

    reader: Reader
    file_hash: bytes
    blocked: list[Busy]
    event_count: int
    imported_event_count: int
    skipped: list[Skipped]
    unknown_zones: dict[str, int]


class Importer:
    """Lives as long as the process; so many files at once, and no file for long."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def read(self, file: str, reader: Reader) -> Imported:
        """Raises CalendarFileRefused for what is wrong with the whole file, and ImportsBusy."""
        text = file.encode()
        try:
            await asyncio.wait_for(self._turns.acquire(), _PATIENCE)
        except TimeoutError as error:
            raise ImportsBusy(retry_after=10) from error
        try:
            async with asyncio.timeout(_SECONDS):
                return await _read(text, reader)
        except FileBroken as error:
            raise _refusal(error.code, error.line) from error
        except TooManyTimes as error:
            raise _refusal("TOO_MANY_TIMES") from error
        except Temporary as error:
            raise ImportsBusy(retry_after=10) from error
        except (CalendarError, TimeoutError) as error:
            raise _refusal("TOO_MUCH_WORK") from error
        finally:
            self._turns.release()


async def _read(text: bytes, reader: Reader) -> Imported:
    # In a thread: a megabyte of short lines takes a while.
    layout = await asyncio.to_thread(layout_of, text)
    gathering = Gathering(reader, layout.lines)
    async with Expander.open() as expander:
        async for event in expander.file(text, reader.window):
            gathering.add(event)
    return Imported(
        reader=reader,
        file_hash=sha256(text).digest(),
        blocked=gathering.blocked(),
        event_count=len(layout.lines),
        imported_event_count=gathering.imported,
        skipped=gathering.skipped(),
        unknown_zones=_unknown(layout),
    )


def _unknown(layout: Layout) -> dict[str, int]:
    return {zone: line for zone, line in layout.foreign_zones.items() if tzp.timezone(zone) is None}


def _refusal(code: str, line: int | None = None) -> CalendarFileRefused:
    """The line is told for those who read, and beside it for programs."""
    message = _WRONG[code]
    if line is None:
        return CalendarFileRefused(errors=[FieldError("file", code, message)])
    error = FieldError("file", code, f"Line {line}: {message}")
    return CalendarFileRefused(errors=[error], line=line)
