"""Manifests name secrets and hold none."""

import re
from pathlib import Path

from local.cluster_values import write_values
from local.folder import CHECKOUT
from local.services import SERVICES

from .manifests import FOLDER, Cluster

GUIDE = (CHECKOUT / "docs" / "kubernetes.md").read_text()
IN_GIT = [
    path
    for path in FOLDER.rglob("*.yaml")
    if not {"generated", "tests"} & set(path.relative_to(FOLDER).parts)
]


def wanted(cluster: Cluster) -> dict[str, set[str]]:
    """Secret to the keys that pods cannot start without."""
    found: dict[str, set[str]] = {}
    for pod in cluster.pods:
        for container in pod.containers:
            for entry in container.get("env", []):
                if reference := entry.get("valueFrom", {}).get("secretKeyRef"):
                    found.setdefault(reference["name"], set()).add(reference["key"])
    for entry in cluster.of("TriggerAuthentication"):
        for reference in entry["spec"]["secretTargetRef"]:
            found.setdefault(reference["name"], set()).add(reference["key"])
    for entry in cluster.of("ObjectStore"):
        for reference in entry["spec"]["configuration"]["s3Credentials"].values():
            found.setdefault(reference["name"], set()).add(reference["key"])
    return found


def made_by_operators(cluster: Cluster) -> set[str]:
    names = {f"{entry['metadata']['name']}-superuser" for entry in cluster.of("Cluster")}
    return names | {
        f"{entry['metadata']['name']}-default-user" for entry in cluster.of("RabbitmqCluster")
    }


def test_no_file_holds_a_secret() -> None:
    for path in IN_GIT:
        text = path.read_text()
        assert "kind: Secret" not in text, path
        assert not re.search(r"//[\w$()]+:[^$@\s]+@", text), f"a password in {path}"
        assert not re.search(
            r"(?im)^\s*(- )?(?!automount)\w*(password|secret|token)\s*[:=]\s*\w", text
        ), path


def test_only_development_gets_secrets_with_the_manifests(cluster: Cluster) -> None:
    secrets = {entry["metadata"]["name"]: set(entry["data"]) for entry in cluster.of("Secret")}

    if cluster.overlay == "dev":
        assert wanted(cluster).keys() <= secrets.keys()
        assert all(keys <= secrets[name] for name, keys in wanted(cluster).items())
    else:
        assert secrets == {}


def test_the_guide_says_which_secrets_to_make(cluster: Cluster) -> None:
    if cluster.overlay == "dev":
        return
    by_hand = wanted(cluster).keys() - made_by_operators(cluster)

    assert {name for name in by_hand if name not in GUIDE} == set()
    for name in by_hand:
        assert {key for key in wanted(cluster)[name] if f"{key}=" not in GUIDE} == set(), name
    databases = {f"{service.name}-database" for service in SERVICES}
    assert databases | {"medic-secrets", "reservations-secrets", "backup-store"} <= by_hand


def test_development_values_differ_each_time_and_stay_once_made(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        write_values(tmp_path / folder)
    first = {p.name: p.read_text() for p in (tmp_path / "one").glob("*.env")}
    other = {p.name: p.read_text() for p in (tmp_path / "other").glob("*.env")}
    write_values(tmp_path / "one")

    assert {p.name: p.read_text() for p in (tmp_path / "one").glob("*.env")} == first
    differing = {name for name in first if first[name] != other[name]}
    assert differing == first.keys() - {"notifications-secrets.env"}  # Mailpit wants no password
