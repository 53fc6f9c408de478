import socket
from pathlib import Path

from local.ports import Ports, is_free


def test_a_port_is_the_same_on_the_next_run(tmp_path: Path) -> None:
    first = Ports(tmp_path / "ports.json")
    port = first["mail"]
    first.save()

    assert Ports(tmp_path / "ports.json")["mail"] == port


def test_a_port_that_somebody_has_taken_is_replaced(tmp_path: Path) -> None:
    first = Ports(tmp_path / "ports.json")
    port = first["mail"]
    first.save()

    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
        assert Ports(tmp_path / "ports.json")["mail"] != port


def test_no_two_names_share_a_port(tmp_path: Path) -> None:
    ports = Ports(tmp_path / "ports.json")

    assert len({ports[str(number)] for number in range(50)}) == 50
