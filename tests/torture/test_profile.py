"""A minute of torture: what must hold on any machine, however slow it is."""

from pathlib import Path

import pytest

from tests.torture.check.checker import check, evidence_in
from tests.torture.check.verdicts import table, violations
from tests.torture.run import Wanted, torture
from tests.torture.stand import Stand

_MINUTE = Wanted(seconds=60, seed=347, patients=4, crowd=8, period=5.0, rebuild=False)


@pytest.mark.filterwarnings("default::ResourceWarning")
async def test_no_promise_is_broken_in_a_minute_of_faults(tmp_path: Path) -> None:
    with Stand.started(tmp_path / "run") as stand:
        await torture(stand, _MINUTE, tmp_path)

    lines = check(evidence_in(tmp_path))
    assert not violations(lines, safety_only=True), table(lines, safety_only=True)
    assert sum(line.occasions > 0 for line in lines) > len(lines) / 2
