"""What `docker compose --profile observability` starts, and what `run status` is told."""

from typing import Any

import pytest
from ruamel.yaml import YAML

from local.folder import CHECKOUT
from local.services import SERVICES
from shared.status.__main__ import places_of

from .expressions import FOLDER

COMPOSE = YAML(typ="safe").load(CHECKOUT / "docker-compose.yml")
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]
WATCHING = {
    name: entry for name, entry in CONTAINERS.items() if entry.get("profiles") == ["observability"]
}


def load(*place: str) -> Any:
    return YAML(typ="safe").load(FOLDER.joinpath(*place))


def test_nothing_of_it_starts_unasked_and_nothing_waits_for_it() -> None:
    assert set(WATCHING) == {"prometheus", "grafana", "otel-collector", "tempo"}
    for name, entry in CONTAINERS.items():
        if name not in WATCHING:
            assert not WATCHING.keys() & set(entry.get("depends_on", ())), name


@pytest.mark.parametrize("name", [*WATCHING, "status"])
def test_files_that_are_mounted_exist(name: str) -> None:
    mounted = [volume for volume in CONTAINERS[name]["volumes"] if volume.startswith("./")]

    assert mounted
    for volume in mounted:
        source, _, mode = volume.split(":")
        assert (CHECKOUT / source).is_dir()
        assert mode == "ro"


def test_only_this_machine_sees_it() -> None:
    for name, entry in WATCHING.items():
        assert all(port.startswith("127.0.0.1:") for port in entry.get("ports", ())), name


def test_each_copy_has_one_address_for_prometheus() -> None:
    networks = set(CONTAINERS["prometheus"]["networks"])

    for service in SERVICES:
        for process in ("api", "worker"):
            assert len(networks & set(CONTAINERS[f"{service.name}-{process}"]["networks"])) == 1
    assert networks & set(CONTAINERS["rabbitmq"]["networks"])


def test_traces_find_their_way_from_services_to_grafana() -> None:
    collector = load("otel-collector", "config.yml")
    [source] = load("grafana", "provisioning", "datasources", "prometheus.yml")["datasources"][1:]

    assert collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].endswith(":4318")
    assert collector["exporters"]["otlp"]["endpoint"] == "tempo:4317"
    port = load("tempo", "config.yml")["server"]["http_listen_port"]
    assert source["url"] == f"http://tempo:{port}"
    apis = set(CONTAINERS["bookings-api"]["networks"])
    assert apis & set(CONTAINERS["otel-collector"]["networks"])
    assert not apis & set(CONTAINERS["tempo"]["networks"])


def test_nobody_can_change_what_grafana_shows() -> None:
    environment = CONTAINERS["grafana"]["environment"]

    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    [dashboards] = load("grafana", "provisioning", "dashboards", "medic.yml")["providers"]
    assert dashboards["allowUiUpdates"] is False
    assert (
        f"./deploy/observability/grafana/dashboards:{dashboards['options']['path']}:ro"
        in (CONTAINERS["grafana"]["volumes"])
    )


def test_status_is_told_of_every_process_and_database() -> None:
    places = places_of(CONTAINERS["status"]["environment"])

    ports = {"api": 8000, "worker": 8001}
    assert places.processes == {
        f"{service.name}-{process}": f"http://{service.name}-{process}:{port}"
        for service in SERVICES
        for process, port in ports.items()
    }
    for service in SERVICES:
        asked = CONTAINERS[f"{service.name}-api"]["environment"]["DATABASE_URL"]
        assert places.databases[service.name] == asked
