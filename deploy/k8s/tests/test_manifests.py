"""Every manifest is valid, every pod is locked in, and every name and selector finds something."""

import re

import kubernetes_validate

from local.services import SERVICES

from . import operators
from .manifests import Cluster, Pod, selects

# docs/kubernetes.md promises 1.31. `keda` has all that `prod` has; it is held against the newest.
RELEASES = {"dev": "1.31", "prod": "1.31", "keda": kubernetes_validate.latest_version()}
LOCKED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def test_kubernetes_knows_every_field(cluster: Cluster) -> None:
    own = {kind for _, kind in operators.SPECS}
    known = [entry for entry in cluster.manifests if entry["kind"] not in own]

    assert known
    for entry in known:
        kubernetes_validate.validate(entry, RELEASES[cluster.overlay], strict=True)


def test_operators_know_every_field(cluster: Cluster) -> None:
    own = cluster.of(*(kind for _, kind in operators.SPECS))

    for entry in own:
        operators.validate(entry)
    assert bool(own) is (cluster.overlay != "dev")


def test_names_are_used_once_and_all_in_one_namespace(cluster: Cluster) -> None:
    names = [(entry["kind"], entry["metadata"]["name"]) for entry in cluster.manifests]
    [namespace] = cluster.of("Namespace")
    rest = [entry for entry in cluster.manifests if entry is not namespace]

    assert len(set(names)) == len(names)
    assert {entry["metadata"]["namespace"] for entry in rest} == {namespace["metadata"]["name"]}
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_each_service_has_an_api_a_worker_and_migrations(cluster: Cluster) -> None:
    for process in ("api", "worker", "migrations"):
        assert sorted(str(pod.service) for pod in cluster.running(process)) == sorted(
            service.name for service in SERVICES
        )


def test_pods_give_up_what_they_do_not_need(cluster: Cluster) -> None:
    for pod in cluster.pods:
        assert pod.spec["automountServiceAccountToken"] is False, pod
        assert pod.spec["enableServiceLinks"] is False, pod
        assert pod.spec["securityContext"]["runAsNonRoot"] is True, pod
        assert pod.spec["securityContext"]["runAsUser"] > 0, pod
        assert pod.spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, pod
        assert {"hostNetwork", "hostPID", "hostIPC"} & set(pod.spec) == set(), pod
        assert not any("hostPath" in volume for volume in pod.spec.get("volumes", [])), pod
        for container in pod.containers:
            assert container["securityContext"] == LOCKED, (pod, container["name"])
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


def test_a_broker_of_our_own_knows_how_much_memory_it_has(cluster: Cluster) -> None:
    brokers = [pod.containers[0] for pod in cluster.pods if pod.process == "rabbitmq"]

    assert bool(brokers) is (cluster.overlay == "dev")  # elsewhere its operator says it
    for broker in brokers:
        [arguments] = [
            entry["value"]
            for entry in broker["env"]
            if entry["name"] == "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"
        ]
        assert arguments == f"-rabbit total_memory_available_override_value {1024**3}"
        assert broker["resources"]["limits"]["memory"] == "1Gi"


def test_what_is_mounted_exists(cluster: Cluster) -> None:
    configs = {entry["metadata"]["name"] for entry in cluster.of("ConfigMap")}
    for pod in cluster.pods:
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
        owner = cluster.named(pod.kind, pod.owner)
        claimed = {
            claim["metadata"]["name"] for claim in owner["spec"].get("volumeClaimTemplates", [])
        }
        for container in pod.containers:
            for mount in container.get("volumeMounts", []):
                assert mount["name"] in set(volumes) | claimed, pod
        for volume in volumes.values():
            if "configMap" in volume:
                assert volume["configMap"]["name"] in configs


def test_selectors_select_their_own_pods_and_nobody_elses(cluster: Cluster) -> None:
    for entry in cluster.of("Deployment", "StatefulSet"):
        found = [pod for pod in cluster.pods if selects(entry["spec"]["selector"], pod.labels)]
        assert [pod.owner for pod in found] == [entry["metadata"]["name"]]
        for spread in found[0].spec.get("topologySpreadConstraints", []):
            assert selects(spread["labelSelector"], found[0].labels)
            assert spread["labelSelector"] == entry["spec"]["selector"]


def test_disruption_budgets_are_of_one_kind_of_pod_each(cluster: Cluster) -> None:
    kept = []
    for entry in cluster.of("PodDisruptionBudget"):
        found = [pod for pod in cluster.all_pods if selects(entry["spec"]["selector"], pod.labels)]
        assert len(found) == 1, entry["metadata"]["name"]
        kept.append(found[0].owner)
        assert entry["spec"]["maxUnavailable"] == 1

    assert {
        pod.owner for pod in cluster.all_pods if pod.process in ("api", "worker", "gateway")
    } <= set(kept)


def test_services_find_pods_that_listen(cluster: Cluster) -> None:
    for entry in cluster.of("Service"):
        found = [
            pod
            for pod in cluster.pods
            if selects({"matchLabels": entry["spec"]["selector"]}, pod.labels)
        ]
        assert len(found) == 1, entry["metadata"]["name"]
        for port in entry["spec"]["ports"]:
            assert port["targetPort"] in _ports(found[0])


def test_routes_lead_to_the_gateway(cluster: Cluster) -> None:
    for route in cluster.of("HTTPRoute"):
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                service = cluster.named("Service", backend["name"])
                assert backend["port"] in {port["port"] for port in service["spec"]["ports"]}


def test_autoscalers_have_something_to_scale_and_nobody_else_scales_it(cluster: Cluster) -> None:
    scaled = [
        entry["spec"]["scaleTargetRef"]["name"]
        for entry in cluster.of("HorizontalPodAutoscaler", "ScaledObject")
    ]

    assert len(set(scaled)) == len(scaled)
    for name in scaled:
        assert "replicas" not in cluster.named("Deployment", name)["spec"]
    expected = {"dev": (), "prod": ("api", "gateway"), "keda": ("api", "gateway", "worker")}
    assert sorted(scaled) == sorted(
        pod.owner for process in expected[cluster.overlay] for pod in cluster.running(process)
    )


def test_an_api_scales_on_processor_time_and_latency(cluster: Cluster) -> None:
    for pod in cluster.running("api"):
        if cluster.overlay == "dev":
            continue
        metrics = cluster.named("HorizontalPodAutoscaler", pod.owner)["spec"]["metrics"]
        names = [(entry.get("resource") or entry["pods"]["metric"])["name"] for entry in metrics]
        assert names == ["cpu", "http_request_p95_seconds"]


def test_every_overlay_runs_at_least_two_of_each_but_the_one_for_development(
    cluster: Cluster,
) -> None:
    least = {
        entry["spec"]["scaleTargetRef"]["name"]: entry["spec"].get("minReplicas")
        or entry["spec"]["minReplicaCount"]
        for entry in cluster.of("HorizontalPodAutoscaler", "ScaledObject")
    }
    for entry in cluster.of("Deployment"):
        name = entry["metadata"]["name"]
        copies = least.get(name) or entry["spec"].get("replicas", 1)
        assert copies == (1 if cluster.overlay == "dev" else 2), name


def test_nothing_is_called_latest_and_all_of_ours_are_one_release(cluster: Cluster) -> None:
    tags = set()
    for pod in cluster.pods:
        for container in pod.containers:
            name, _, tag = container["image"].rpartition(":")
            assert tag, container["image"]
            assert tag != "latest"
            if pod.service is None:
                assert re.fullmatch(r"v?\d+\.\d+\.?\d*(-[\w.]+)?", tag), container["image"]
            else:
                # The name of a service's image, here and in a registry.
                assert re.search(rf"medic[-/]{pod.service}$", name), container["image"]
                tags.add(tag)
    for entry in (*cluster.of("Cluster"), *cluster.of("RabbitmqCluster")):
        image = entry["spec"].get("image") or entry["spec"]["imageName"]
        assert re.search(r":\d+\.\d+", image)

    [release] = tags
    assert all(job["metadata"]["name"].endswith(f".{release}") for job in cluster.of("Job"))


def _ports(pod: Pod) -> dict[str, int]:
    return {
        port["name"]: port["containerPort"]
        for container in pod.containers
        for port in container.get("ports", [])
    }
