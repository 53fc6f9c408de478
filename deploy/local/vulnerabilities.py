"""`make vulnerabilities`: whether anything is known against the versions that run in production.

The registry is asked, so it needs the internet, and what it answers changes from day to day. Exit
codes: 0 nothing known, 1 something known, 3 nothing was learnt.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from local.folder import CHECKOUT

REQUIREMENTS = CHECKOUT / "requirements"
FOLDER = CHECKOUT / ".venv" / "audit"
NOTHING_KNOWN, FOUND, NOTHING_LEARNT = 0, 1, 3
_PATIENCE = 600


def verdict(report: dict[str, Any]) -> tuple[int, list[str]]:
    """The exit code and what to say, from what pip-audit writes as JSON.

    What the registry has no word about counts as not looked at: silence is no good news.
    """
    entries = report.get("dependencies", [])
    unknown = [entry["name"] for entry in entries if "vulns" not in entry]
    found = [
        f"{entry['name']} {entry['version']}: {fault['id']}, mended in "
        f"{', '.join(fault.get('fix_versions', [])) or 'no version yet'}"
        for entry in entries
        for fault in entry.get("vulns", ())
    ]
    if found:
        return FOUND, found
    if unknown or not entries:
        return NOTHING_LEARNT, [
            f"nothing was learnt of {len(unknown)} of {len(entries)} packages: "
            "the registry here has no list of vulnerabilities, or did not answer",
            *unknown[:5],
        ]
    return NOTHING_KNOWN, [f"nothing is known against {len(entries)} packages"]


def main() -> int:
    auditor = _auditor()
    if auditor is None:
        sys.stderr.write("nothing was learnt: pip-audit could not be installed\n")
        return NOTHING_LEARNT
    command: list[str | Path] = [auditor, "--disable-pip", "--require-hashes", "--format", "json"]
    command += ["--progress-spinner", "off", "-r", REQUIREMENTS / "runtime.txt"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
        code, lines = verdict(json.loads(asked.stdout))
    except subprocess.TimeoutExpired:
        code, lines = NOTHING_LEARNT, ["nothing was learnt: no answer in time"]
    except ValueError:
        reason = asked.stderr.strip().splitlines()[-1:] or ["pip-audit said nothing"]
        code, lines = NOTHING_LEARNT, ["nothing was learnt:", *reason]
    sys.stderr.write("\n".join(lines) + "\n")
    return code


def _auditor() -> Path | None:
    """pip-audit in an environment of its own, made anew when its pinned versions change."""
    pinned, made = (REQUIREMENTS / "audit.txt").read_bytes(), FOLDER / ".made"
    if not (made.exists() and made.read_bytes() == pinned):
        python = FOLDER / "bin" / "python"
        make: list[str | Path] = [sys.executable, "-m", "venv", "--clear", FOLDER]
        install: list[str | Path] = [
            python,
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
        ]
        install += ["--require-hashes", "-r", REQUIREMENTS / "audit.txt"]
        for command in (make, install):
            if subprocess.run(command).returncode:
                return None
        made.write_bytes(pinned)
    return FOLDER / "bin" / "pip-audit"


if __name__ == "__main__":
    sys.exit(main())
