"""The release before this one comes out of the history, or its absence has a name."""

from pathlib import Path

import pytest

from local import releases
from local.releases import HistoryMissing, previous_commit, previous_release
from local.services import CURRENT, SERVICES


def test_its_services_are_other_code_than_this_checkouts(tmp_path: Path) -> None:
    try:
        before = previous_release(tmp_path / "previous")
    except HistoryMissing as missing:
        pytest.skip(str(missing))

    assert len(previous_commit()) == 40, "a name that never means another commit"
    for service in SERVICES:
        assert (before.folder(service) / "alembic.ini").is_file()
        [path] = before.environment(service).values()
        assert all(str(tmp_path) in place for place in path.split(":"))
        assert CURRENT.environment(service) == {}


def test_a_history_that_ends_too_early_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named_in = tmp_path / "previous_release"
    named_in.write_text(f"# never made\n{'0' * 39}1\n")
    monkeypatch.setattr(releases, "NAMED_IN", named_in)

    with pytest.raises(HistoryMissing, match="no 000000000000 here"):
        previous_release(tmp_path / "previous")
