"""Plots of what was measured, as small files that are the same for the same figures."""

from collections import defaultdict
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures import Parts, Row

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "medic", "svg.fonttype": "none", "font.size": 9})

_MET, _MISSED, _LIMIT = "#0b69a3", "#b54708", "#1f2933"


def plots_of(parts: Parts, folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    return [_ratios(parts, folder / "ratios.svg"), _growth(parts, folder / "growth.svg")]


def _ratios(parts: Parts, file: Path) -> Path:
    """How far each ratio is from what was wanted of it; to the right of the line it is met."""
    rows = [
        (part, row)
        for part, found in parts.items()
        for row in found
        if row.wanted is not None and row.wanted.of == "ratio" and row.ratio
    ]
    figure = Figure(figsize=(9, 0.6 + 0.26 * len(rows)), layout="constrained")
    axes = figure.subplots()
    shares = [_share(row) for _, row in rows]
    colours = [_MET if row.is_met else _MISSED for _, row in rows]
    places = range(len(rows))
    axes.barh(places, shares, color=colours)
    axes.axvline(1, color=_LIMIT, linewidth=1)
    axes.set_yticks(places, [f"{part}: {row.name}" for part, row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, max(2.0, *shares) if shares else 2.0)
    axes.set_xlabel("reached, as a multiple of what was wanted (1 = just met)")
    return _saved(figure, file)


def _share(row: Row) -> float:
    assert row.wanted is not None
    assert row.ratio
    better = row.ratio / row.wanted.limit
    return better if row.wanted.sign == "≥" else 1 / better


def _growth(parts: Parts, file: Path) -> Path:
    """One picture for each thing of which there is more, one curve for each work."""
    curves: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for rows in parts.values():
        for row in rows:
            if row.point is not None:
                curves[row.point.of_what][row.point.curve].append(row)
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    pictures = figure.subplots(1, max(len(curves), 1), squeeze=False)[0]
    for axes, (of_what, works) in zip(pictures, curves.items(), strict=False):
        _draw(axes, of_what, works)
    return _saved(figure, file)


def _draw(axes: Axes, of_what: str, works: dict[str, list[Row]]) -> None:
    for work, rows in works.items():
        numbers = [row.point.x for row in rows if row.point]
        axes.plot(numbers, [row.ratio or 1.0 for row in rows], marker="o", label=work)
    axes.axhline(1.1, color=_LIMIT, linewidth=0.8, linestyle="--", label="wanted at most")
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_ylim(0, max(1.3, axes.get_ylim()[1]))
    axes.set_xlabel(of_what)
    axes.set_ylabel("cost, as a multiple of the first")
    axes.legend(loc="lower left")


def _saved(figure: Figure, file: Path) -> Path:
    figure.savefig(file, metadata={"Date": None, "Creator": None})
    return file
