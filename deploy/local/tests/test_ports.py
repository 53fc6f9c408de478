import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.ports import Ports, is_free


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ports.json"


def remembered(file: Path) -> int:
    with Ports.held(file) as ports:
        port = ports["mail"]
        ports.save()
    return port


def test_a_port_is_the_same_on_the_next_run(file: Path) -> None:
    port = remembered(file)

    with Ports.held(file) as ports:
        assert ports["mail"] == port


def test_a_port_that_somebody_has_taken_is_replaced(file: Path) -> None:
    port = remembered(file)

    with socket.create_server(("127.0.0.1", port)), Ports.held(file) as ports:
        assert not is_free(port)
        assert ports["mail"] != port


def test_no_two_names_share_a_port(file: Path) -> None:
    with Ports.held(file) as ports:
        assert len({ports[str(number)] for number in range(50)}) == 50


def test_no_two_systems_share_a_port_before_anybody_listens(tmp_path: Path) -> None:
    with ExitStack() as stack:
        systems = [stack.enter_context(Ports.held(tmp_path / str(n))) for n in range(20)]

        ports = [ports[str(number)] for ports in systems for number in range(50)]

    assert len(set(ports)) == 20 * 50


def test_a_block_that_somebody_has_is_left_alone(file: Path) -> None:
    port = remembered(file)

    with Ports.held(file), Ports.held(file) as second:
        assert second["mail"] != port
