"""Free ports on this machine, the same ones again on the next run where that is possible."""

import json
import random
import socket
from pathlib import Path

from local.console import CannotRun
from local.folder import write_private

# Below the range from which systems give ports to outgoing connections (Linux 32768, macOS 49152).
OURS = range(20_000, 32_000)


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
    """Names to ports, remembered in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._remembered: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        self._taken: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        """This name's port: free when first asked for, and nobody else's here."""
        if name not in self._taken:
            self._taken[name] = self._choose(name)
        return self._taken[name]

    def _choose(self, name: str) -> int:
        others = set(self._taken.values())
        remembered = self._remembered.get(name)
        if remembered and remembered not in others and is_free(remembered):
            return remembered
        reserved = others | set(self._remembered.values())
        for port in random.sample(OURS, k=500):
            if port not in reserved and is_free(port):
                return port
        raise CannotRun("no free port found between 20000 and 32000 on 127.0.0.1")

    def save(self) -> None:
        """Remember for the next run."""
        write_private(self._file, json.dumps(self._remembered | self._taken, indent=2))
