"""What `kubectl apply -k` would send, read as data, and the pods that would come of it."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from local.cluster_values import write_values
from local.folder import CHECKOUT
from local.prepare import find_program

FOLDER = CHECKOUT / "deploy" / "k8s"
OVERLAYS = ("dev", "prod", "keda")
WORKLOADS = ("Deployment", "StatefulSet", "Job")

Manifest = dict[str, Any]


def renderer() -> list[str] | None:
    """The command in front of a folder's name; None when this machine has neither."""
    if kubectl := find_program("kubectl"):
        return [str(kubectl), "kustomize"]
    if kustomize := find_program("kustomize"):
        return [str(kustomize), "build"]
    return None


def render(
    command: list[str], overlay: str, scratch: Path, component: str | None = None
) -> "Cluster":
    """The overlay with development values of its own; nothing is written to the checkout."""
    shutil.copytree(
        FOLDER, scratch / "k8s", ignore=shutil.ignore_patterns("generated", "tests", "__pycache__")
    )
    shutil.copytree(CHECKOUT / "deploy" / "gateway", scratch / "gateway")
    folder = scratch / "k8s" / "overlays"
    (folder / "dev" / "generated").mkdir()
    write_values(folder / "dev" / "generated")
    if component is not None:
        named = f"resources: [../{overlay}]\ncomponents: [../../components/{component}]\n"
        overlay = f"{overlay}-with-{component}"
        (folder / overlay).mkdir()
        (folder / overlay / "kustomization.yaml").write_text(f"{named}namespace: medic\n")
    text = subprocess.run(
        [*command, str(folder / overlay)], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    return Cluster(overlay, [entry for entry in YAML(typ="safe").load_all(text) if entry])


@dataclass(frozen=True)
class Pod:
    """One of the pods that a workload, or an operator for its own kind, would start."""

    owner: str
    kind: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]

    @property
    def service(self) -> str | None:
        return self.labels.get("service")

    @property
    def process(self) -> str:
        return self.labels.get("process") or self.labels["app.kubernetes.io/name"]

    @property
    def containers(self) -> list[Manifest]:
        return [*self.spec.get("initContainers", []), *self.spec.get("containers", [])]

    def __str__(self) -> str:
        return f"{self.kind} {self.owner}"


@dataclass(frozen=True)
class Cluster:
    """All manifests of one overlay."""

    overlay: str
    manifests: list[Manifest]

    def of(self, *kinds: str) -> list[Manifest]:
        return [entry for entry in self.manifests if entry["kind"] in kinds]

    def named(self, kind: str, name: str) -> Manifest:
        [found] = [entry for entry in self.of(kind) if entry["metadata"]["name"] == name]
        return found

    @cached_property
    def pods(self) -> list[Pod]:
        """Ours, which have a spec."""
        return [
            Pod(
                entry["metadata"]["name"],
                entry["kind"],
                entry["spec"]["template"]["metadata"]["labels"],
                entry["spec"]["template"]["spec"],
            )
            for entry in self.of(*WORKLOADS)
        ]

    @cached_property
    def all_pods(self) -> list[Pod]:
        """With those that the operators start for databases and the broker."""
        return [*self.pods, *self._of_operators()]

    def _of_operators(self) -> Iterator[Pod]:
        for entry in self.of("Cluster"):
            labels = entry["spec"]["inheritedMetadata"]["labels"]
            name = entry["metadata"]["name"]
            yield Pod(name, "Cluster", {"cnpg.io/cluster": name, **labels}, {})
        for entry in self.of("RabbitmqCluster"):
            name = entry["metadata"]["name"]
            yield Pod(name, "RabbitmqCluster", {"app.kubernetes.io/name": name}, {})

    def running(self, process: str, service: str | None = None) -> list[Pod]:
        """The pods of our services by what they do."""
        return [
            pod
            for pod in self.all_pods
            if pod.process == process and service in (None, pod.service)
        ]


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Kubernetes' rule for label selectors; an empty one selects all."""
    wanted = selector.get("matchLabels", {})
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    for expression in selector.get("matchExpressions", []):
        if expression["operator"] != "In":
            raise NotImplementedError(expression["operator"])
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


def environment(cluster: Cluster, container: Manifest, secrets: Mapping[str, str]) -> Manifest:
    """The variables as the container sees them; a value out of a secret is looked up by its key.

    A reference to a variable that is not defined before it stays as it is, as Kubernetes leaves it.
    """
    values: Manifest = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            values |= cluster.named("ConfigMap", source["configMapRef"]["name"])["data"]
    own: Manifest = {}
    for entry in container.get("env", []):
        if "value" in entry:
            own[entry["name"]] = REFERENCE.sub(
                lambda found: own.get(found[1], found[0]), entry["value"]
            )
        elif "secretKeyRef" in entry["valueFrom"]:
            key = entry["valueFrom"]["secretKeyRef"]["key"]
            own[entry["name"]] = secrets.get(key, secrets["default"])
        else:
            own[entry["name"]] = entry["valueFrom"]["fieldRef"]["fieldPath"]
    return values | own


def referred_to(container: Manifest) -> set[str]:
    """Variables that other variables of the container are made of."""
    values = [entry.get("value", "") for entry in container.get("env", [])]
    return {name for value in values for name in REFERENCE.findall(value)}
