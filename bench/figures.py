"""What benchmarks have found: rows of one table, with what was wanted beside what was reached."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

WIDEST_NAME = 54


class Wanted(NamedTuple):
    """A limit for the ratio, or for the figure itself."""

    sign: Literal["≥", "≤"]
    limit: float
    of: Literal["ratio", "figure"] = "ratio"

    def is_met_by(self, reached: float) -> bool:
        return reached >= self.limit if self.sign == "≥" else reached <= self.limit


def at_least(ratio: float) -> Wanted:
    return Wanted("≥", ratio)


def at_most(ratio: float) -> Wanted:
    return Wanted("≤", ratio)


def no_more_than(figure: float) -> Wanted:
    return Wanted("≤", figure, "figure")


class Point(NamedTuple):
    """Where a row stands on a curve of costs; the first row of a curve measures the others."""

    curve: str
    x: int
    of_what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. Without a ratio it is there to be compared with; ``unit`` is ``/s``, ``ms``, …"""

    name: str
    figure: float
    unit: str
    ratio: float | None = None
    yardstick: str = ""
    """What the ratio is a ratio to, in the same run."""
    wanted: Wanted | None = None
    point: Point | None = None

    @property
    def is_met(self) -> bool | None:
        """None where nothing was wanted."""
        if self.wanted is None:
            return None
        reached = self.figure if self.wanted.of == "figure" else self.ratio
        return reached is not None and self.wanted.is_met_by(reached)


Parts = dict[str, Sequence[Row]]
"""By the name of the part, in the order in which they were measured."""


def table(parts: Parts) -> str:
    """For a terminal."""
    lines = [
        f"{'':<{WIDEST_NAME}}{'figure':>12}{'ratio':>10}  to what",
    ]
    for part, rows in parts.items():
        lines += ["", part]
        lines += [_line(row) for row in rows]
    met = [row.is_met for rows in parts.values() for row in rows if row.is_met is not None]
    return "\n".join([*lines, "", f"{sum(met)} of {len(met)} that were wanted are met"])


def _line(row: Row) -> str:
    told = f"  {row.name:<{WIDEST_NAME - 2}}{number(row.figure):>9} {row.unit:<2}{ratio(row):>10}"
    return f"{told}  {row.yardstick:<32}{verdict(row)}".rstrip()


def number(figure: float) -> str:
    if abs(figure) >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.2f}" if abs(figure) < 10 else f"{figure:.1f}"


def ratio(row: Row) -> str:
    return "" if row.ratio is None else f"{row.ratio:.3g} x"


def wish(row: Row) -> str:
    if row.wanted is None:
        return ""
    unit = "x" if row.wanted.of == "ratio" else row.unit
    return f"{row.wanted.sign} {row.wanted.limit:g} {unit}"


def verdict(row: Row) -> str:
    """What was wanted, and whether it is so."""
    if row.is_met is None:
        return ""
    return f"{wish(row):<12}{'met' if row.is_met else 'MISSED'}"


def percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def latencies(
    name: str, seconds: Iterable[float], *, p99_ms: float | None = None
) -> tuple[Row, Row]:
    """Their median and their 99th percentile, for which a limit may be wanted."""
    ordered = sorted(seconds)
    p50, p99 = (percentile(ordered, share) * 1000 for share in (0.5, 0.99))
    return (
        Row(name=f"{name}, p50", figure=p50, unit="ms"),
        Row(
            name=f"{name}, p99",
            figure=p99,
            unit="ms",
            wanted=None if p99_ms is None else no_more_than(p99_ms),
        ),
    )
