"""Installs what is missing through the system's own package manager, where that is allowed."""

import asyncio
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from local.console import CannotRun, Console

# Debian starts a server as soon as its package is installed. policy-rc.d forbids that, for exactly
# as long as we install; the next start of the machine would start it too, so that is switched off.
APT_INSTALL = """
set -e
policy=/usr/sbin/policy-rc.d
kept=$policy.kept-by-medic
ours='# Written while make run installs packages; removed afterwards.'
give_back() {
    if grep -qsF "$ours" "$policy"; then rm -f "$policy"; fi
    if [ -e "$kept" ]; then mv -f "$kept" "$policy"; fi
}
give_back  # an earlier installation may have been killed half-way
trap give_back EXIT
trap 'exit 130' HUP INT TERM
if [ -e "$policy" ]; then mv "$policy" "$kept"; fi
printf '#!/bin/sh\\n%s\\nexit 101\\n' "$ours" > "$policy"
chmod 755 "$policy"
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q install -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
if command -v systemctl > /dev/null; then
    for unit in "$@" epmd.socket epmd.service; do
        systemctl disable "$unit" > /dev/null 2>&1 || true
    done
fi
"""


async def install(names: Sequence[str], console: Console, log: Path) -> None:
    """Install these packages, or say in one message what to install by hand."""
    wanted = " ".join(names)
    if shutil.which("apt-get"):
        become_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        if become_root and not await _succeeds("sudo", "-n", "true"):
            raise CannotRun(f"please install what is missing:  sudo apt-get install {wanted}")
        command = [*become_root, "sh", "-c", APT_INSTALL, "sh", *names]
    elif sys.platform == "darwin" and shutil.which("brew"):
        command = ["brew", "install", *names]
    else:
        raise CannotRun(
            f"please install {' and '.join(names)} with this system's package manager, "
            "or use Docker: docker compose up"
        )
    console.say(f"  installing {wanted} (once, about a minute; details in {log}) …")
    with console.step(f"{wanted} installed"):
        if not await _succeeds(*command, log=log):
            raise CannotRun(f"could not install {wanted}: see {log}")


async def _succeeds(*command: str, log: Path | None = None) -> bool:
    """Whether the command could be run and ended well; it ends with us."""
    with (log or Path(os.devnull)).open("ab") as output:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # A Ctrl-C must not cut a package in half: dpkg is asked to end in our own order.
                start_new_session=True,
            )
        except FileNotFoundError:
            return False
    try:
        return await process.wait() == 0
    except asyncio.CancelledError:
        with suppress(ProcessLookupError, PermissionError):
            process.terminate()
        await process.wait()
        raise
