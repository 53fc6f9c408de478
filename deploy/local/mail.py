"""A real SMTP server for one machine; every message becomes a file in a Maildir."""

import sys
from pathlib import Path

from local.processes import Program


def mail_program(folder: Path, *, port: int, run_folder: Path) -> Program:
    """aiosmtpd with its own Maildir handler; it delivers nothing any further."""
    return Program(
        name="mail",
        group="servers",
        command=(
            *(sys.executable, "-m", "aiosmtpd", "--nosetuid", "--smtputf8"),
            *("--listen", f"127.0.0.1:{port}", "--size", str(10 * 1024 * 1024)),
            *("--class", "aiosmtpd.handlers.Mailbox", str(folder)),
        ),
        folder=run_folder,
        environment={"PYTHONWARNINGS": "ignore"},
    )
