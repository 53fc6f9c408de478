"""Plants each bug in a copy of the tree, tortures the copy, and tells which promise found it."""

import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.system import CHECKOUT
from tests.torture.bugs import BUGS, Bug
from tests.torture.check.checker import HISTORY, STATE, check, evidence_in
from tests.torture.check.verdicts import Line, violations

_SOURCES = (
    "shared",
    *(
        f"services/{name}"
        for name in ("availability", "bookings", "reservations", "notifications", "calendar-sync")
    ),
    "deploy",
    ".",
)


def try_all(names: Sequence[str], *, seed: int | None) -> int:
    """A table in Markdown with a row for each bug; 1 when one was not found, or not to be tried."""
    chosen = [bug for bug in BUGS if not names or bug.name in names]
    unknown = set(names) - {bug.name for bug in chosen}
    if unknown:
        sys.stderr.write(f"no such bug: {', '.join(sorted(unknown))}\n")
        return 2
    print("| planted bug | found by | after | also broken |\n| --- | --- | --- | --- |", flush=True)
    missed = 0
    for bug in chosen:
        began = time.monotonic()
        try:
            found = try_one(bug, bug.seed if seed is None else seed)
        except (RuntimeError, ValueError, subprocess.TimeoutExpired) as failure:
            sys.stderr.write(f"{bug.name}: {failure}\n")
            found = []
        told, others = _told(bug, found)
        missed += told is None
        took = f"{time.monotonic() - began:.0f} s"
        print(f"| {bug.name} | {told or '**not found**'} | {took} | {others} |", flush=True)
    print(f"\n{len(chosen) - missed} of {len(chosen)} found")
    return 1 if missed else 0


def _told(bug: Bug, found: Sequence[Line]) -> tuple[str | None, str]:
    """The promise that has found the bug, and what else was broken."""
    right = [line for line in found if line.promise.startswith(tuple(bug.found_by))]
    others = sorted({line.promise for line in found} - {line.promise for line in right[:1]})
    told = f"{right[0].promise} ({len(right[0].against)})" if right else None
    return told, "; ".join(others)


def try_one(bug: Bug, seed: int) -> list[Line]:
    """The broken promises of a short torture of a tree with this bug in it."""
    folder = Path(tempfile.mkdtemp(prefix=f"torture-{bug.name}-"))
    try:
        tree = folder / "tree"
        _copy(tree)
        plant(bug, tree)
        python = _python_for(tree)
        with (folder / "log").open("w") as log:
            subprocess.run(
                [
                    *(python, "-m", "tests.torture", "run", "--folder", str(folder)),
                    *("--minutes", str(bug.seconds / 60), "--period", str(bug.period)),
                    *("--seed", str(seed), "--only", bug.only, "--patients", "6"),
                    *("--settle", "25", "--safety-only", "--no-rebuild"),
                ],
                cwd=tree,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=900,
            )
        if not all((folder / name).exists() for name in (HISTORY, STATE)):
            raise RuntimeError((folder / "log").read_text()[-3000:])
        return violations(check(evidence_in(folder)), safety_only=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def plant(bug: Bug, tree: Path) -> None:
    """Edit a tree; ValueError when the source is not what the bug was written for."""
    for edit in bug.edits:
        file = tree / edit.file
        text = file.read_text()
        if text.count(edit.old) != 1:
            raise ValueError(f"{bug.name}: {edit.file} has not once:\n{edit.old}")
        file.write_text(text.replace(edit.old, edit.new))


def _copy(tree: Path) -> None:
    """All that is or could be committed, never the checkout itself."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, tree / name)


def _python_for(tree: Path) -> str:
    """An interpreter that imports the copy first, and everything else from our environment."""
    home = tree / ".venv"
    venv.create(home, symlinks=True)
    packages = next((home / "lib").glob("python3*")) / "site-packages"
    ours = sysconfig.get_path("purelib")
    paths = [str(tree / name) for name in _SOURCES]
    (packages / "planted.pth").write_text(
        "\n".join([*paths, f"import site; site.addsitedir({ours!r})"]) + "\n"
    )
    return str(home / "bin" / "python")
