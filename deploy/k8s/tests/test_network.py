"""Who may talk to whom (docs/architecture.md), worked out from the policies as a cluster would."""

from collections.abc import Iterator

from local.services import SERVICES

from .manifests import Cluster, Manifest, Pod, selects

NAMES = tuple(service.name for service in SERVICES)
SAME_NAMESPACE_ONLY = {"podSelector"}


def allows(rule: Manifest, peers: str, other: Pod, port: int) -> bool:
    """Whether one rule lets a pod of the same namespace through; an absent list means everybody."""
    ports = {entry["port"] for entry in rule.get("ports", [])}
    if ports and port not in ports:
        return False
    return peers not in rule or any(
        set(peer) == SAME_NAMESPACE_ONLY and selects(peer["podSelector"], other.labels)
        for peer in rule[peers]
    )


def rules(cluster: Cluster, pod: Pod, direction: str) -> Iterator[Manifest]:
    for policy in cluster.of("NetworkPolicy"):
        spec = policy["spec"]
        if direction in spec["policyTypes"] and selects(spec["podSelector"], pod.labels):
            yield from spec.get(direction.lower(), [])


def may_connect(cluster: Cluster, source: Pod, target: Pod, port: int) -> bool:
    return any(
        allows(rule, "to", target, port) for rule in rules(cluster, source, "Egress")
    ) and any(allows(rule, "from", source, port) for rule in rules(cluster, target, "Ingress"))


def name(pod: Pod) -> str:
    return " ".join(filter(None, (pod.service, pod.process)))


def connections(cluster: Cluster, port: int) -> set[tuple[str, str]]:
    return {
        (name(source), name(target))
        for source in cluster.all_pods
        for target in cluster.all_pods
        if source is not target and may_connect(cluster, source, target, port)
    }


def test_everybody_is_denied_by_default(cluster: Cluster) -> None:
    policy = cluster.named("NetworkPolicy", "deny-by-default")

    assert policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_only_two_policies_are_about_everybody(cluster: Cluster) -> None:
    everybody = [p for p in cluster.of("NetworkPolicy") if not p["spec"]["podSelector"]]

    assert {p["metadata"]["name"] for p in everybody} == {"deny-by-default", "all-to-name-server"}


def test_policies_are_about_pods_that_exist(cluster: Cluster) -> None:
    for policy in cluster.of("NetworkPolicy"):
        spec = policy["spec"]
        assert any(selects(spec["podSelector"], pod.labels) for pod in cluster.all_pods), policy
        for rule in (*spec.get("ingress", []), *spec.get("egress", [])):
            for peer in (*rule.get("from", []), *rule.get("to", [])):
                if set(peer) == SAME_NAMESPACE_ONLY:
                    found = [p for p in cluster.all_pods if selects(peer["podSelector"], p.labels)]
                    assert found, policy["metadata"]["name"]


def test_apis_are_called_by_the_gateway_and_by_whom_they_answer(cluster: Cluster) -> None:
    expected = {("gateway", f"{callee} api") for callee in NAMES}
    expected |= {("reservations api", f"{callee} api") for callee in ("availability", "bookings")}
    keepers = ("calendar-sync", "notifications", "reservations")
    expected |= {("bookings api", f"{callee} api") for callee in keepers}

    assert connections(cluster, 8000) == expected


def test_a_service_reaches_its_own_database_and_no_other(cluster: Cluster) -> None:
    processes = [
        f"{service} {kind}" for service in NAMES for kind in ("api", "migrations", "worker")
    ]
    if cluster.overlay == "dev":
        expected = {(process, "database") for process in processes}
    else:
        expected = {(process, f"{process.split()[0]} database") for process in processes}

    assert connections(cluster, 5432) == expected


def test_apis_and_workers_reach_the_broker(cluster: Cluster) -> None:
    assert connections(cluster, 5672) == {
        (f"{service} {kind}", "rabbitmq") for service in NAMES for kind in ("api", "worker")
    }


def test_nobody_reaches_anything_else(cluster: Cluster) -> None:
    others = {
        (source, target, port)
        for port in (22, 80, 443, 1025, 6443, 8001, 8025, 8080, 15672)
        for source, target in connections(cluster, port)
    }

    public = {entry for entry in others if entry[1:] == ("gateway", 8080)}
    mail = {("notifications worker", "mailpit", 1025)} if cluster.overlay == "dev" else set()
    # The databases' and the broker's own egress to the cluster's API names ports, not pods.
    assert others - public == mail


def test_nothing_but_named_ports_leaves_the_cluster_and_no_private_network_is_reached(
    cluster: Cluster,
) -> None:
    ports = {}
    for pod in cluster.pods:
        for rule in rules(cluster, pod, "Egress"):
            for peer in rule.get("to", []):
                if "ipBlock" in peer:
                    assert "10.0.0.0/8" in peer["ipBlock"]["except"]
                    assert "169.254.0.0/16" in peer["ipBlock"]["except"]
                    ports.setdefault(name(pod), set()).update(p["port"] for p in rule["ports"])

    assert ports == {
        f"{service} {kind}": {443} for service in NAMES for kind in ("api", "worker")
    } | {"notifications worker": {25, 443, 465, 587}}


def test_the_broker_of_three_is_asked_by_keda_only_where_keda_is(cluster: Cluster) -> None:
    namespaces = {
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for pod in cluster.all_pods
        if pod.process == "rabbitmq"
        for rule in rules(cluster, pod, "Ingress")
        for peer in rule["from"]
        if "namespaceSelector" in peer and {"port": 15672} in rule["ports"]
    }

    assert (
        namespaces
        == {
            "dev": set(),
            "prod": {"rabbitmq-system"},
            "keda": {"rabbitmq-system", "keda"},
        }[cluster.overlay]
    )
