"""Rules and dashboards ask for what there is, and every alert leads to a page that helps."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from local.folder import CHECKOUT
from local.services import SERVICES

from .expressions import DASHBOARDS, FOLDER, RULE_FILES, Expression, alerts, expressions, faults
from .metrics_in_code import declared

CONFIG = FOLDER / "prometheus" / "prometheus.yml"
COMPOSE = YAML(typ="safe").load(CHECKOUT / "docker-compose.yml")["services"]


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("each", expressions(), ids=lambda each: each.place)
def test_an_expression_can_be_read_and_selects_something(each: Expression) -> None:
    assert list(each.selectors())


def test_every_metric_and_label_is_declared_in_the_code() -> None:
    assert faults(declared()) == []


def test_a_metric_that_is_gone_shows() -> None:
    known = declared()
    del known["queue_parked"]
    known["work_due_oldest_seconds"] = {"job_name"}

    assert {fault.split(": ")[1] for fault in faults(known)} >= {
        "there is no queue_parked",
        "work_due_oldest_seconds has no work",
    }


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_what_is_wrong_how_urgent_it_is_and_where_to_look(
    alert: dict[str, Any],
) -> None:
    page, _, anchor = alert["annotations"]["runbook"].partition("#")

    assert alert["annotations"]["summary"].endswith(".")
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["for"]
    assert anchor in anchors(CHECKOUT / page)


def test_alerts_and_recordings_have_names_of_their_own() -> None:
    names = [alert["alert"] for alert in alerts()]
    names += [each.record for each in expressions() if each.record is not None]

    assert len(set(names)) == len(names)


def test_what_is_recorded_is_used() -> None:
    records = {each.record for each in expressions() if each.record is not None}
    used = {name for each in expressions() for name, _ in each.selectors()}

    assert records - used == set()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_complete_and_its_panels_lie_side_by_side(path: Path) -> None:
    board = json.loads(path.read_text())
    places = [panel["gridPos"] for panel in board["panels"]]
    fields = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert board["uid"] == f"medic-{path.stem}"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len(set(fields)) == len(fields)
    assert max(x for x, _ in fields) < 24
    assert path.stat().st_size < 20_000


def test_prometheus_finds_every_process_of_compose() -> None:
    [job, *_] = YAML(typ="safe").load(CONFIG)["scrape_configs"]
    found = {(name, names["port"]) for names in job["dns_sd_configs"] for name in names["names"]}

    ports = {"api": 8000, "worker": 8001}
    assert found == {
        (f"{service.name}-{process}", port)
        for service in SERVICES
        for process, port in ports.items()
    }
    assert {name for name, _ in found} <= set(COMPOSE)


def test_promtool_agrees(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: Prometheus' own check is left out")
    config = tmp_path / "prometheus.yml"
    config.write_text(CONFIG.read_text().replace("/etc/prometheus", str(CONFIG.parent)))

    stories = str(Path(__file__).with_name("rules_test.yml"))
    for command in (
        ["check", "config", str(config)],
        ["check", "rules", *map(str, RULE_FILES)],
        ["test", "rules", stories],
    ):
        check = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
        assert check.returncode == 0, check.stdout + check.stderr
