"""What was asked, what was answered and what was broken: one JSON line each, as it happens."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

Json = dict[str, Any]


class History:
    """An open file of entries; each has a ``kind`` and the wall clock's ``start`` and ``end``."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.requests = 0

    def add(self, kind: str, **values: Any) -> None:
        self.requests += kind == "request"
        self._file.write(json.dumps({"kind": kind, **values}, default=str) + "\n")

    @classmethod
    @contextmanager
    def written_to(cls, path: Path) -> "Iterator[History]":
        with path.open("w") as file:
            yield cls(file)

    def fault(self, name: str, *, start: float, end: float, **more: Any) -> None:
        """A fault and the time until its target answered again."""
        self.add("fault", name=name, start=start, end=end, **more)
        self._file.flush()


def read(path: Path) -> list[Json]:
    """All entries; a last line that was cut short is left out."""
    entries = []
    for line in path.read_text().splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            break
    return entries


def now() -> float:
    """The wall clock, in seconds; the databases of one machine have the same one."""
    return time.time()
