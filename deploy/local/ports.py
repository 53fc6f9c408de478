"""Free ports on this machine, the same ones again on the next run where that is possible."""

import json
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from local.console import CannotRun
from local.folder import write_private

# Below the range from which systems give ports to outgoing connections (Linux 32768, macOS 49152).
OURS = range(20_000, 32_000)
_BLOCK = 60
_GUARD = "guard of this block"


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of any loopback address."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            probe = socket.socket(family, socket.SOCK_STREAM)
        except OSError:  # no such family on this machine
            continue
        with probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                # A machine may know IPv6 and have no ::1.
                if family is socket.AF_INET or _has_ipv6_loopback():
                    return False
    return True


def _has_ipv6_loopback() -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


class Ports:
    """Names to ports of one block, remembered in a file; made by `held`."""

    def __init__(self, file: Path, block: range) -> None:
        self._file = file
        self._block = block
        self._remembered = _read(file)
        self._taken: dict[str, int] = {_GUARD: block[0]}

    @classmethod
    @contextmanager
    def held(cls, file: Path) -> Iterator[Self]:
        """Ports that no other system gets while this block of code runs, though nobody listens yet.

        The first port of the block stands for all of them: whoever listens on it has the block.
        """
        with _guarded_block(_read(file).get(_GUARD)) as block:
            yield cls(file, block)

    def __getitem__(self, name: str) -> int:
        """This name's port: free when first asked for, and nobody else's here."""
        if name not in self._taken:
            self._taken[name] = self._choose(name)
        return self._taken[name]

    def _choose(self, name: str) -> int:
        others = set(self._taken.values())
        remembered = self._remembered.get(name)
        reserved = others | set(self._remembered.values())
        fresh = [port for port in self._block if port not in reserved]
        candidates = fresh if remembered is None else [remembered, *fresh]
        for port in candidates:
            if port in self._block and port not in others and is_free(port):
                return port
        raise CannotRun(f"no free port left from {self._block[0]} to {self._block[-1]}")

    def save(self) -> None:
        """Remember for the next run."""
        write_private(self._file, json.dumps(self._taken, indent=2))


def _read(file: Path) -> dict[str, int]:
    known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    return known


@contextmanager
def _guarded_block(last_time: int | None) -> Iterator[range]:
    starts = random.sample(OURS[::_BLOCK], k=len(OURS[::_BLOCK]))
    if last_time in starts:
        starts.insert(0, last_time)
    for start in starts:
        if not is_free(start):
            continue
        try:
            guard = socket.create_server(("127.0.0.1", start))
        except OSError:  # taken since
            continue
        with guard:
            yield range(start, start + _BLOCK)
        return
    raise CannotRun(f"no free ports found from {OURS[0]} to {OURS[-1]} on 127.0.0.1")
