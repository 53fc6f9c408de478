"""docker-compose.yml: closed by default, pinned, and made so that a service can have copies."""

import re
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

from local.folder import CHECKOUT
from local.services import SERVICES

FILE = CHECKOUT / "docker-compose.yml"
COMPOSE = YAML(typ="safe").load(FILE)
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (CHECKOUT / "deploy" / "Dockerfile").read_text()
OUR_IMAGES = {f"medic-{service.name}" for service in SERVICES}
WITH_A_VERSION = re.compile(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-[\w.-]+)?")
NAMED_SERVERS = {"postgres", "rabbitmq"}

each_container = pytest.mark.parametrize("name", CONTAINERS)


def networks(name: str) -> set[str]:
    entry = CONTAINERS[name]
    return set() if entry.get("network_mode") == "none" else set(entry.get("networks", ["default"]))


def test_it_is_what_the_compose_specification_allows() -> None:
    check = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", str(FILE)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert check.returncode == 0, check.stdout


@each_container
def test_a_container_has_no_rights_that_it_does_not_need(name: str) -> None:
    entry = CONTAINERS[name]

    assert entry["read_only"] is True
    assert entry["cap_drop"] == ["ALL"]
    assert "cap_add" not in entry
    assert "privileged" not in entry
    assert entry["security_opt"] == ["no-new-privileges:true"]
    assert entry["mem_limit"]
    assert entry["pids_limit"]


@each_container
def test_a_log_cannot_fill_the_disk(name: str) -> None:
    assert CONTAINERS[name]["logging"] == {"driver": "local"}


def test_the_broker_knows_how_much_memory_it_has() -> None:
    entry = CONTAINERS["rabbitmq"]
    arguments = entry["environment"]["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"].split()
    size = arguments[arguments.index("total_memory_available_override_value") + 1]

    assert entry["mem_limit"] == "1g"
    assert int(size) == 1024**3


@each_container
def test_nobody_is_root(name: str) -> None:
    entry = CONTAINERS[name]
    users = re.findall(r"(?m)^USER (\S+)", DOCKERFILE)
    user = entry.get("user") or (users[-1] if entry["image"] in OUR_IMAGES else "root")

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


@each_container
def test_images_are_ours_or_have_a_version(name: str) -> None:
    image = CONTAINERS[name]["image"]

    assert image in OUR_IMAGES or WITH_A_VERSION.fullmatch(image)


def test_every_image_of_ours_is_built_once_from_its_service() -> None:
    builds = [entry for entry in CONTAINERS.values() if "build" in entry]

    assert {entry["image"]: entry["build"]["args"]["SERVICE"] for entry in builds} == {
        f"medic-{service.name}": service.name for service in SERVICES
    }
    assert len(builds) == len(SERVICES)


def test_the_base_image_is_an_argument_with_a_version() -> None:
    [base] = re.findall(r"(?m)^ARG BASE=(\S+)", DOCKERFILE)

    assert WITH_A_VERSION.fullmatch(base)
    assert set(re.findall(r"(?m)^FROM (\S+)", DOCKERFILE)) == {"${BASE}"}


def test_what_services_share_is_one_chain_of_layers() -> None:
    *_, last = DOCKERFILE.split("\nFROM ")
    shared, _, own = last.partition("ARG SERVICE\n")

    assert "COPY --from=packages" in shared
    assert "COPY shared" in shared
    assert "COPY services/${SERVICE}" in own


def test_databases_and_broker_are_out_of_reach_from_outside() -> None:
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    for name in NAMED_SERVERS:
        assert networks(name) == {"inside"}
        assert "ports" not in CONTAINERS[name]
    assert "inside" not in networks("gateway")


def test_only_the_gateway_is_open_to_other_machines() -> None:
    published = {name: entry["ports"] for name, entry in CONTAINERS.items() if "ports" in entry}

    assert {name for name, ports in published.items() if "127.0.0.1:" not in ports[0]} == {
        "gateway"
    }


@each_container
def test_whoever_is_named_can_be_reached(name: str) -> None:
    values = [str(value) for value in CONTAINERS[name].get("environment", {}).values()]
    plain = [re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value) for value in values]
    hosts = {urlsplit(value).hostname for value in plain if "://" in value}
    hosts |= {value.split(":")[0] for value in plain if value.endswith(" resolve")}
    others = (hosts & set(CONTAINERS)) - {name}

    assert {host for host in others if not networks(name) & networks(host)} == set()


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
@pytest.mark.parametrize("kind", ["api", "worker"])
def test_a_service_can_have_copies(service: Any, kind: str) -> None:
    entry = CONTAINERS[f"{service.name}-{kind}"]

    assert {"container_name", "hostname", "ports"} & set(entry) == set()


def test_the_gateway_is_there_whoever_is_not() -> None:
    assert "depends_on" not in CONTAINERS["gateway"]


def test_the_gateway_looks_for_copies_again_and_again() -> None:
    environment = CONTAINERS["gateway"]["environment"]

    assert environment["GATEWAY_RESOLVER"] == "127.0.0.11"
    assert {name: value for name, value in environment.items() if name.endswith("_ADDRESS")} == {
        f"{service.package.upper()}_ADDRESS": f"{service.name}-api:8000 resolve"
        for service in SERVICES
    }
    # The word came with this release.
    version = re.search(r"nginx:(\d+)\.(\d+)\.(\d+)", CONTAINERS["gateway"]["image"])
    assert version
    assert tuple(map(int, version.groups())) >= (1, 27, 3)
