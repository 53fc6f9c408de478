"""What the person at the terminal sees: one line for each step, with its seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


class CannotRun(Exception):
    """Something the person has to change first; ends the command with one message and code 2."""


class WentWrong(Exception):
    """Something did not happen that should have; ends the command with one message and code 1."""


class Console:
    """Lines for a person, written at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def say(self, line: str = "") -> None:
        # A terminal that has been closed must not keep us from ending what we have started.
        with suppress(OSError):
            print(line, file=self._stream, flush=True)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Report the step when it is done, with the seconds it took."""
        began = time.monotonic()
        yield
        self.say(f"  {name:<58} {time.monotonic() - began:5.1f} s")
