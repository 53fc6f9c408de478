"""One program by itself, without a supervisor, for tests that need no more of the system."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from local.console import WentWrong
from local.processes import Program

_START_LIMIT = 60.0


@contextmanager
def alone(program: Program, *, port: int) -> Iterator[None]:
    """It listens on the port when the block begins, and is killed when the block ends; what it
    says stands in the file ``log`` of its folder."""
    path = program.folder / "log"
    with path.open("w") as log:
        process = subprocess.Popen(program.command, stdout=log, stderr=log, cwd=program.folder)
    try:
        deadline = time.monotonic() + _START_LIMIT
        while not _listens(port):
            if process.poll() is not None or time.monotonic() >= deadline:
                raise WentWrong(f"{program.name} does not start: {path.read_text()[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
