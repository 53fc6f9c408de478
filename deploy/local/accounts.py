"""The account that PostgreSQL runs under, because it refuses to run as root."""

import asyncio
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from local.console import CannotRun


@dataclass(frozen=True)
class Account:
    """An unprivileged account of this machine."""

    name: str
    uid: int
    gid: int

    async def may_enter(self, folder: Path) -> bool:
        """Whether this account may reach what lies in the folder."""
        process = await self.start("test", "-x", f"{folder}/.")
        return await process.wait() == 0

    async def start(
        self, *command: str, output: int = asyncio.subprocess.DEVNULL
    ) -> asyncio.subprocess.Process:
        """Start a program as this account, in the root folder because it may enter that."""
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            user=self.uid,
            group=self.gid,
            extra_groups=[],
        )

    def own(self, path: Path) -> None:
        os.chown(path, self.uid, self.gid)


def unprivileged_account() -> Account | None:
    """The account for servers that refuse to run as root; None when we are not root anyway."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "_postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise CannotRun(
        "PostgreSQL does not run as root and there is no account 'postgres' or 'nobody'"
    )
