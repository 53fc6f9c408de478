"""``results.json``, and what ``make bench-results`` makes of it: ``RESULTS.md`` and its plots.

Needs nothing of the project, because what draws cannot be installed beside it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.figures import Parts, Point, Row, Wanted, number, ratio, wish

FOLDER = Path(__file__).parent
FILE = FOLDER / "results.json"
PAGE = FOLDER / "RESULTS.md"

_HEAD = """\
# What was measured

Made by `make bench` (the figures, `results.json`) and `make bench-results` (this page); how it is
measured stands in [README.md](README.md). Only ratios between lines of one run mean anything.
"""


def write(machine: dict[str, str], parts: Parts, file: Path = FILE) -> None:
    found = {
        "machine": machine,
        "parts": {name: [asdict(row) for row in rows] for name, rows in parts.items()},
    }
    file.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def read(file: Path = FILE) -> tuple[dict[str, str], Parts]:
    found = json.loads(file.read_text())
    parts: Parts = {name: [_row(each) for each in rows] for name, rows in found["parts"].items()}
    return found["machine"], parts


def _row(told: dict[str, Any]) -> Row:
    wanted, point = told.pop("wanted"), told.pop("point")
    return Row(
        **told,
        wanted=Wanted(*wanted) if wanted else None,
        point=Point(*point) if point else None,
    )


def page(machine: dict[str, str], parts: Parts, plots: Sequence[Path]) -> str:
    lines = [_HEAD, "| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in machine.items()]
    for plot in plots:
        lines += ["", f"![{plot.stem}]({plot.relative_to(FOLDER)})"]
    for part, rows in parts.items():
        lines += ["", f"## {part}", "", "| | figure | ratio | to what | wanted | met |"]
        lines += ["| --- | ---: | ---: | --- | --- | --- |", *map(_line, rows)]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    met = {None: "", True: "yes", False: "**no**"}[row.is_met]
    cells = (row.name, f"{number(row.figure)} {row.unit}".strip(), ratio(row), row.yardstick)
    return f"| {' | '.join([*cells, wish(row), met])} |"


def main() -> None:
    from bench.drawing import plots_of

    machine, parts = read()
    PAGE.write_text(page(machine, parts, plots_of(parts, FOLDER / "plots")))
    print(PAGE)


if __name__ == "__main__":
    main()
