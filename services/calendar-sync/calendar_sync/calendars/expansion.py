"""iCalendar objects are read in a process of its own, which may take what it likes and be killed.

A rule can ask for years of work in thirty characters, and a parser can be led astray: here that
costs one event, or at worst this process, and never the worker that serves everybody else.
"""

import asyncio
import os
import resource
import sys
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import date, datetime
from typing import Any, NamedTuple, Self
from uuid import UUID

import orjson

from calendar_sync.calendars.contract import (
    ExternalEvent,
    Occurrence,
    Refused,
    Temporary,
    Unreadable,
    Window,
)

_SECONDS = 60.0
_MEMORY = 1024**3
_LONGEST_LINE = 16 * 1024 * 1024


class Object(NamedTuple):
    """A calendar object as a server keeps it."""

    id: str
    etag: str | None
    text: bytes


class Expander:
    """The process; it is started when it is first needed, and anew after it had to be killed."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        expander = cls()
        try:
            yield expander
        finally:
            await expander._kill()

    async def objects(
        self, objects: Iterable[Object], window: Window, owners: Collection[str] = ()
    ) -> list[ExternalEvent | Unreadable]:
        """One answer for each object, in their order. Never raises for what is in them.

        Temporary when the process does not work at all.
        """
        found: list[ExternalEvent | Unreadable] = []
        for each in objects:
            asked = _asked([each], window, owners)
            try:
                found += [answer async for answer in self._ask(asked)]
            except _Killed:
                await self._check(window)
                found.append(Unreadable(each.id, "too_much_work"))
        return found

    async def file(
        self, text: bytes, window: Window, owners: Collection[str] = ()
    ) -> AsyncIterator[ExternalEvent | Unreadable]:
        """The events of a whole file. Raises Refused for what is none, or has too many."""
        asked = _asked([], window, owners) | {"file": text.decode(errors="replace")}
        try:
            async for answer in self._ask(asked):
                yield answer
        except _Killed as error:
            await self._check(window)
            raise Refused("calendar_too_large") from error

    async def _check(self, window: Window) -> None:
        """Raises Temporary when the process does not even work for nothing: no event's fault."""
        try:
            async for _ in self._ask(_asked([], window, ())):
                pass
        except _Killed as error:
            raise Temporary("no_process") from error

    async def _ask(self, asked: Mapping[str, Any]) -> AsyncIterator[ExternalEvent | Unreadable]:
        async with self._turn:
            is_whole = False
            try:
                writer, reader = await self._started()
                writer.write(orjson.dumps(asked) + b"\n")
                while line := await asyncio.wait_for(reader.readline(), _SECONDS):
                    answer = orjson.loads(line)
                    if answer is None or isinstance(answer, str):
                        is_whole = True
                        if answer is not None:
                            raise Refused(answer)
                        return
                    yield _answered(answer)
                raise _Killed
            except (TimeoutError, OSError, ValueError) as error:
                raise _Killed from error
            finally:
                if not is_whole:
                    await self._kill()

    async def _started(self) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
        if self._process is None or self._process.returncode is not None:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "calendar_sync.calendars.expansion",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                    # Nothing of the environment, which holds secrets; only where our code is.
                    env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                    limit=_LONGEST_LINE,
                )
            except OSError as error:
                raise Temporary("no_process") from error
        assert self._process.stdin is not None  # noqa: S101 -- it was started with pipes
        assert self._process.stdout is not None  # noqa: S101
        return self._process.stdin, self._process.stdout

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class _Killed(Exception):
    """The process did not come to an end of this, or not in time."""


def _asked(objects: Iterable[Object], window: Window, owners: Collection[str]) -> dict[str, Any]:
    return {
        "objects": [[each.id, each.etag, each.text.decode(errors="replace")] for each in objects],
        "window": [window.start, window.end],
        "owners": list(owners),
    }


def _answered(answer: list[Any]) -> ExternalEvent | Unreadable:
    match answer:
        case [id_, reason]:
            return Unreadable(id_, reason)
        case [id_, etag, uid, key, occurrences]:
            return ExternalEvent(
                id=id_,
                etag=etag,
                uid=uid,
                key=UUID(key) if key else None,
                occurrences=tuple(_occurrence(*each) for each in occurrences),
            )
    raise ValueError("an answer of another form")


def _occurrence(start: str, end: str, is_free: bool, *others: bool) -> Occurrence:
    is_tentative, is_declined, is_cancelled = others
    return Occurrence(
        start=_time(start),
        end=_time(end),
        is_free=is_free,
        is_tentative=is_tentative,
        is_declined=is_declined,
        is_cancelled=is_cancelled,
    )


def _time(text: str) -> datetime | date:
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


# In the process


def main() -> None:
    """Answers line by line until its input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    for line in sys.stdin.buffer:
        for answer in _answers(orjson.loads(line)):
            sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()


def _answers(asked: Mapping[str, Any]) -> Iterator[Any]:
    from calendar_sync.calendars.icalendar_events import (
        NotACalendar,
        TooManyEvents,
        event_of,
        events_of,
    )

    window = Window(*(datetime.fromisoformat(each) for each in asked["window"]))
    owners = frozenset(asked["owners"])
    for id_, etag, text in asked["objects"]:
        yield _written(event_of(id_, etag, text.encode(), window, owners))
    if "file" in asked:
        try:
            for event in events_of(asked["file"].encode(), window, owners):
                yield _written(event)
        except NotACalendar:
            yield "not_a_calendar"
            return
        except TooManyEvents:
            yield "calendar_too_large"
            return
    yield None


def _written(event: ExternalEvent | Unreadable) -> list[Any]:
    if isinstance(event, Unreadable):
        return [event.id, event.reason]
    occurrences = [
        [
            each.start.isoformat(),
            each.end.isoformat(),
            each.is_free,
            each.is_tentative,
            each.is_declined,
            each.is_cancelled,
        ]
        for each in event.occurrences
    ]
    return [event.id, event.etag, event.uid, event.key and str(event.key), occurrences]


if __name__ == "__main__":
    main()
