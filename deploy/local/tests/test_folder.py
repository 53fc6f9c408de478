from pathlib import Path

import pytest

from local.console import CannotRun
from local.folder import LONGEST_SOCKET_PATH, RunFolder


def test_two_stacks_never_share_a_folder(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path).held(),
        pytest.raises(CannotRun, match="in use by process"),
        RunFolder(tmp_path).held(),
    ):
        pass

    with RunFolder(tmp_path).held():
        pass  # free again


def test_a_secret_is_kept_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    secret = RunFolder(tmp_path).secret("between services")

    assert len(secret) >= 32
    assert RunFolder(tmp_path).secret("between services") == secret
    assert RunFolder(tmp_path).secret("another") != secret
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0


def test_a_socket_fits_into_the_system_limit_however_deep_the_folder_lies(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 120)
    deep.mkdir()

    socket = RunFolder(deep).socket("supervisor.sock")

    assert len(str(socket)) <= LONGEST_SOCKET_PATH
    assert socket.parent.stat().st_mode & 0o077 == 0
    socket.parent.rmdir()
