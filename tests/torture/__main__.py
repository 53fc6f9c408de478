"""``python -m tests.torture``: run, check, planted. `make torture` calls this (docs/torture.md)."""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.torture.check.checker import check, evidence_in
from tests.torture.check.verdicts import table, violations
from tests.torture.plan import PERIOD
from tests.torture.run import SETTLE_LIMIT, Wanted, torture
from tests.torture.stand import Stand


def main() -> int:
    options = _options()
    if options.command == "check":
        return judge(options.folder, safety_only=options.safety_only)
    if options.command == "planted":
        from tests.torture.planted import try_all

        return try_all(options.names, seed=options.seed)
    # That the broker is gone now and then is what the run is about.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    folder = Path(options.folder or tempfile.mkdtemp(prefix="torture-")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    seed = options.seed if options.seed is not None else int(time.time()) % 100_000
    wanted = Wanted(
        seconds=options.minutes * 60,
        seed=seed,
        patients=options.patients,
        period=options.period,
        only=options.only,
        rebuild=not options.no_rebuild,
        settle=options.settle,
    )
    print(f"{options.minutes:g} minutes, seed {seed}; history and state in {folder}", flush=True)
    with Stand.started(folder / "run") as stand:
        asyncio.run(torture(stand, wanted, folder))
    return judge(folder, safety_only=options.safety_only)


def judge(folder: Path, *, safety_only: bool) -> int:
    """Print the table; 1 when a promise was broken."""
    lines = check(evidence_in(folder))
    print(table(lines, safety_only=safety_only))
    return 1 if violations(lines, safety_only=safety_only) else 0


def _options(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="torture a system of its own, then check")
    run.add_argument("--minutes", type=float, default=30)
    run.add_argument("--seed", type=int)
    run.add_argument("--patients", type=int, default=8)
    run.add_argument("--period", type=float, default=PERIOD, help="seconds between faults")
    run.add_argument("--only", default="", help="faults whose name has one of these words: a,b")
    run.add_argument("--folder", help="where history, state and the system's folder go")
    run.add_argument("--settle", type=float, default=SETTLE_LIMIT, help="seconds until quiet")
    run.add_argument("--no-rebuild", action="store_true", help="leave the rebuilt view out")
    again = commands.add_parser("check", help="check what an earlier run has left in its folder")
    again.add_argument("folder", type=Path)
    for command in (run, again):
        command.add_argument("--safety-only", action="store_true", help="speed breaks no promise")
    planted = commands.add_parser("planted", help="plant bugs in a copy, and see each found")
    planted.add_argument("names", nargs="*")
    planted.add_argument("--seed", type=int, help="another one than each bug's own")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
