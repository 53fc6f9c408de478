"""What can be seen without kubectl or kustomize: whether the files fit together and to the code."""

import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from ruamel.yaml import YAML

from local.services import SERVICES

from . import operators
from .manifests import FOLDER

YAML_FILES = sorted(
    path
    for path in FOLDER.rglob("*.yaml")
    if not {"generated", "tests"} & set(path.relative_to(FOLDER).parts)
)
KUSTOMIZATIONS = [path for path in YAML_FILES if path.name == "kustomization.yaml"]
NAMES = {service.name for service in SERVICES}


def load(path: Path) -> list[dict]:  # type: ignore[type-arg]
    return [entry for entry in YAML(typ="safe").load_all(path) if entry]


def named_by(kustomization: Path) -> set[Path]:
    [content] = load(kustomization)
    names = [*content.get("resources", []), *content.get("components", [])]
    names += [patch["path"] for patch in content.get("patches", []) if "path" in patch]
    return {(kustomization.parent / name).resolve() for name in names}


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_file_is_yaml_and_somebody_uses_it(path: Path) -> None:
    assert load(path)

    outermost = {FOLDER / "overlays" / name for name in ("dev", "prod", "keda")}
    by_hand = {
        FOLDER / "prometheus-adapter.yaml",  # for Helm
        FOLDER / "monitoring",  # where there is a Prometheus operator
        FOLDER / "components" / "telemetry",  # for overlays of whoever operates it
    }
    used = {target for each in KUSTOMIZATIONS for target in named_by(each)} | outermost | by_hand
    assert path in used or (path.name == "kustomization.yaml" and path.parent in used)


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_what_a_kustomization_names_exists(path: Path) -> None:
    assert {target for target in named_by(path) if not target.exists()} == set()


def test_every_service_has_a_folder_that_gives_it_its_name() -> None:
    for service in SERVICES:
        [content] = load(FOLDER / "base" / service.name / "kustomization.yaml")
        [names] = [entry for entry in content["configMapGenerator"] if entry["name"] == "names"]
        assert content["namePrefix"] == f"{service.name}-"
        assert content["labels"][0]["pairs"] == {"service": service.name}
        assert content["images"][0]["newName"] == f"medic-{service.name}"
        assert names["literals"] == [f"SERVICE={service.name}", f"PACKAGE={service.package}"]


def test_a_release_has_one_tag_for_all_services() -> None:
    [content] = load(FOLDER / "release" / "kustomization.yaml")

    assert {image["name"] for image in content["images"]} == {f"medic-{name}" for name in NAMES}
    [tag] = {image["newTag"] for image in content["images"]}
    assert re.fullmatch(r"\d+\.\d+\.\d+", tag)


def test_the_adapter_makes_the_metric_that_autoscalers_ask_for_out_of_one_that_exists() -> None:
    [content] = load(FOLDER / "prometheus-adapter.yaml")
    [rule] = content["rules"]["custom"]
    asked = re.findall(r"metric: \{name: (\w+)\}", (FOLDER / "base/service/api.yaml").read_text())

    assert asked == [rule["name"]["as"]]
    series, _, _ = rule["seriesQuery"].partition("{")
    assert series.removesuffix("_bucket") in {metric.name for metric in REGISTRY.collect()}
    assert f"{series}{{<<.LabelMatchers>>}}" in rule["metricsQuery"]


def test_prometheus_finds_the_processes_under_the_labels_that_rules_know() -> None:
    [monitor] = load(FOLDER / "monitoring" / "pods.yaml")
    spec = monitor["spec"]
    [endpoint] = spec["podMetricsEndpoints"]
    [base] = load(FOLDER / "base" / "kustomization.yaml")

    operators.validate(monitor)
    assert spec["podTargetLabels"] == ["service", "process"]
    assert base["labels"][0]["pairs"][spec["jobLabel"]] == "medic"
    for process in spec["selector"]["matchExpressions"][0]["values"]:
        deployment, *_ = load(FOLDER / "base" / "service" / f"{process}.yaml")
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        assert endpoint["port"] in {port["name"] for port in container["ports"]}


def test_rules_are_those_of_every_other_prometheus() -> None:
    [manifest] = load(FOLDER / "monitoring" / "rules.yaml")
    folder = FOLDER.parent / "observability" / "prometheus" / "rules"
    groups = [group for path in sorted(folder.glob("*.yml")) for group in load(path)[0]["groups"]]

    operators.validate(manifest)
    assert manifest["spec"]["groups"] == groups, "make rules"
