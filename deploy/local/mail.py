"""A real SMTP server for one machine; every message becomes a file in a Maildir."""

import sys
import time
from argparse import ArgumentParser
from itertools import count
from pathlib import Path
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from local.folder import CHECKOUT
from local.processes import Program


def mail_program(folder: Path, *, port: int, run_folder: Path) -> Program:
    """aiosmtpd with ``Maildrop``; it delivers nothing any further."""
    return Program(
        name="mail",
        group="servers",
        command=(
            *(sys.executable, "-m", "aiosmtpd", "--nosetuid", "--smtputf8"),
            *("--listen", f"127.0.0.1:{port}", "--size", str(10 * 1024 * 1024)),
            *("--class", "local.mail.Maildrop", str(folder)),
        ),
        folder=run_folder,
        environment={"PYTHONWARNINGS": "ignore", "PYTHONPATH": str(CHECKOUT / "deploy")},
    )


class Maildrop:
    """Each message as it came, below the addresses of its envelope.

    aiosmtpd's own handler takes every message apart and forces it to the disk, which costs four
    times as much; here a power failure may lose mail that nobody waits for.
    """

    def __init__(self, folder: Path) -> None:
        self._new, self._unfinished = folder / "new", folder / "tmp"
        for place in (self._new, self._unfinished, folder / "cur"):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._started = time.time_ns()
        self._numbers = count(1)

    @classmethod
    def from_cli(cls, _: ArgumentParser, folder: str) -> Self:
        """How aiosmtpd makes its handler."""
        return cls(Path(folder))

    async def handle_DATA(  # noqa: N802 -- aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        content = envelope.original_content or b""
        recipients = ", ".join(envelope.rcpt_tos)
        addresses = f"X-MailFrom: {envelope.mail_from}\r\nX-RcptTo: {recipients}\r\n"
        name = f"{self._started}.{next(self._numbers)}.local"
        unfinished = self._unfinished / name
        unfinished.write_bytes(addresses.encode() + content)
        unfinished.rename(self._new / name)
        return "250 OK"
