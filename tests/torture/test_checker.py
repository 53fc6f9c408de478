"""Nothing is found in a history without fault; the tests beside this break one promise each."""

import pytest

from tests.e2e.system import CHECKOUT
from tests.torture.bugs import BUGS, Bug
from tests.torture.check.checker import check
from tests.torture.check.verdicts import table, violations
from tests.torture.made_up import MadeUp
from tests.torture.plan import planned


def test_nothing_is_found_in_a_history_without_fault(run: MadeUp) -> None:
    lines = check(run.evidence())

    assert not violations(lines), table(lines)
    assert {line.verdict() for line in lines} == {"ok", "not seen"}


def test_a_seed_is_a_plan() -> None:
    assert planned(7, 600) == planned(7, 600)
    assert planned(7, 600) != planned(8, 600)
    assert len(planned(7, 1800)) >= 200


def test_every_planted_bug_names_a_promise_there_is(run: MadeUp) -> None:
    promises = [line.promise for line in check(run.evidence())]

    for bug in BUGS:
        assert all(any(each.startswith(p) for each in promises) for p in bug.found_by), bug.name


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_every_planted_bug_fits_the_source(bug: Bug) -> None:
    for edit in bug.edits:
        assert (CHECKOUT / edit.file).read_text().count(edit.old) == 1, edit.file
