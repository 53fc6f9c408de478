"""The benchmarks' table says of each figure whether it is what was wanted, and forgets nothing."""

from pathlib import Path

import pytest

from bench.figures import Point, Row, Wanted, at_least, at_most, no_more_than, table
from bench.results import page, read, write


@pytest.mark.parametrize(
    ("wanted", "figure", "ratio", "is_met"),
    [
        (at_least(0.5), 1000.0, 0.5, True),
        (at_least(0.5), 1000.0, 0.49, False),
        (at_most(1.1), 1000.0, 1.1, True),
        (at_most(1.1), 1000.0, 1.2, False),
        (no_more_than(50), 50.0, 9.0, True),
        (no_more_than(50), 51.0, 0.1, False),
        (at_least(0.5), 1000.0, None, False),
        (None, 1000.0, 0.1, None),
    ],
)
def test_a_row_knows_whether_it_is_as_wanted(
    wanted: Wanted | None, figure: float, ratio: float | None, is_met: bool | None
) -> None:
    row = Row(name="it", figure=figure, unit="/s", ratio=ratio, wanted=wanted)

    assert row.is_met is is_met


ROWS = [
    Row(name="a publisher alone", figure=5000, unit="/s"),
    Row(
        name="the relay",
        figure=2000,
        unit="/s",
        ratio=0.4,
        yardstick="a publisher alone",
        wanted=at_least(0.5),
    ),
    Row(
        name="an answer, 1,000 providers",
        figure=2.5,
        unit="ms",
        ratio=1.05,
        yardstick="with 1",
        wanted=at_most(1.1),
        point=Point("an answer", 1000, "providers"),
    ),
]


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    machine, parts = {"cores": "2"}, {"events": ROWS[:2], "growth": ROWS[2:]}

    write(machine, parts, tmp_path / "results.json")

    assert read(tmp_path / "results.json") == (machine, parts)


def test_what_is_missed_stands_out() -> None:
    told = table({"events": ROWS})
    written = page({"cores": "2"}, {"events": ROWS}, [])

    [missed] = [line for line in told.splitlines() if "MISSED" in line]
    assert "the relay" in missed
    assert "≥ 0.5 x" in missed
    assert "1 of 2 that were wanted are met" in told
    [line] = [line for line in written.splitlines() if "**no**" in line]
    assert line.startswith("| the relay | 2,000 /s | 0.4 x | a publisher alone | ≥ 0.5 x |")
