"""The release before this one, taken out of the repository's own history."""

import io
import subprocess
import tarfile
from pathlib import Path

from local.folder import CHECKOUT
from local.services import Release

NAMED_IN = CHECKOUT / "deploy" / "previous_release"


class HistoryMissing(Exception):
    """This checkout does not reach back to the previous release; says what was missing."""


def previous_commit() -> str:
    """The commit that deploy/previous_release names."""
    lines = NAMED_IN.read_text().splitlines()
    [commit] = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return commit


def previous_release(into: Path) -> Release:
    """Its services and its tools, unpacked into a folder."""
    commit = previous_commit()
    command = ["git", "-C", str(CHECKOUT), "archive", commit, "shared", "services", "deploy"]
    try:
        archive = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as error:
        words = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()
        raise HistoryMissing(f"no {commit[:12]} here: {words or error}") from None
    into.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(into, filter="data")
    return Release(into)
