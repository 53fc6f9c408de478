"""What runs in the pods: its command, its settings, its probes, its end, and who comes first."""

import base64
import re
from typing import Any
from urllib.parse import urlsplit

from local.folder import CHECKOUT
from local.gateway import TEMPLATE
from local.services import SERVICES, Service
from local.tests.settings_read import A_SECRET, accepted, settings_class
from shared import probes, worker
from shared.messaging.topology import LISTENERS

from .manifests import Cluster, Manifest, Pod, environment, referred_to

SECRETS = {"default": A_SECRET, "SMTP_URL": "smtps://user:pw@mail.example.org", "password": "pw"}
SECRETS |= {"CALENDAR_KEYS": f"a:{base64.b64encode(bytes(32)).decode()}"}
SECRETS |= {"connection_string": "amqp://user:pw@rabbitmq.medic.svc:5672/", "owner-password": "pw"}
DOCKERFILE = (CHECKOUT / "deploy" / "Dockerfile").read_text()
BY_NAME = {service.name: service for service in SERVICES}

# What the programs beside the services read from their environment.
READ_BY = {
    ("python", "-m", "shared.schema"): {"DATABASE_URL"},
    ("python", "-m", "shared.provisioning", "own"): {
        *("POSTGRES_ADMIN_URL", "DATABASE_URL", "MIGRATION_DATABASE_URL"),
    },
    ("alembic", "upgrade", "head"): {"MIGRATION_DATABASE_URL"},
}


def service_of(pod: Pod) -> Service:
    return BY_NAME[str(pod.service)]


def main(pod: Pod) -> Manifest:
    [container] = pod.spec["containers"]
    return dict(container)


def test_each_process_gets_its_settings_and_no_others(cluster: Cluster) -> None:
    for pod in (*cluster.running("api"), *cluster.running("worker")):
        container = main(pod)
        values = environment(cluster, container, SECRETS)
        # What only becomes a part of another variable is no setting.
        for name in referred_to(container) - set(settings_class(service_of(pod)).model_fields):
            values.pop(name)

        accepted(service_of(pod), values)


def test_variables_are_made_of_those_before_them(cluster: Cluster) -> None:
    for pod in cluster.pods:
        for container in pod.containers:
            for name, value in environment(cluster, container, SECRETS).items():
                assert "$(" not in str(value), (pod, name)


def test_programs_beside_the_services_get_what_they_read(cluster: Cluster) -> None:
    seen = set()
    for pod in cluster.pods:
        for container in pod.containers:
            program = tuple(container.get("args", ()))
            if program in READ_BY:
                seen.add(program)
                given = set(environment(cluster, container, SECRETS)) - referred_to(container)
                assert given == READ_BY[program], (pod, container["name"])

    assert seen == set(READ_BY)


def test_a_service_enters_its_own_database_as_itself(cluster: Cluster) -> None:
    for pod in cluster.pods:
        if pod.service is None:
            continue
        package = service_of(pod).package
        server = "postgres" if cluster.overlay == "dev" else f"{pod.service}-db-rw"
        for container in pod.containers:
            values = environment(cluster, container, SECRETS)
            urls = {
                "DATABASE_URL": f"postgresql://{package}:pw@{server}:5432/{package}",
                "MIGRATION_DATABASE_URL": f"postgresql://{package}_owner:pw@{server}:5432/{package}",
                "POSTGRES_ADMIN_URL": f"postgresql://postgres:pw@{server}:5432/postgres",
            }
            for name in set(urls) & set(values):
                assert values[name] == urls[name], pod
            for entry in container.get("env", []):
                secret = entry.get("valueFrom", {}).get("secretKeyRef", {}).get("name", "")
                if "-database" in secret:
                    assert secret.startswith(f"{pod.service}-database"), pod


def test_production_refuses_keys_made_for_development(cluster: Cluster) -> None:
    expected = "development" if cluster.overlay == "dev" else "production"
    for pod in (*cluster.running("api"), *cluster.running("worker")):
        assert environment(cluster, main(pod), SECRETS)["ENVIRONMENT"] == expected


def test_pods_start_what_their_image_can_start(cluster: Cluster) -> None:
    assert "SERVICE={SERVICE}".replace("{", "${") in DOCKERFILE
    for pod in cluster.running("worker"):
        assert main(pod)["args"] == ["python", "-m", f"{service_of(pod).package}.worker"]
    for pod in cluster.running("api"):
        assert {"args", "command"} & set(main(pod)) == set(), "the image's own command is the API"
    for pod in cluster.running("migrations"):
        assert main(pod)["args"] == ["alembic", "upgrade", "head"]


def test_probes_ask_where_the_process_listens(cluster: Cluster) -> None:
    [api_port] = re.findall(r"--port (\d+)", DOCKERFILE)
    paths = {route.path for route in probes.router.routes}  # type: ignore[attr-defined]
    for pod in (*cluster.running("api"), *cluster.running("worker")):
        container = main(pod)
        worker_port = environment(cluster, container, SECRETS).get("WORKER_PORT")
        listens = int(worker_port or api_port)
        assert container["ports"] == [{"name": "http", "containerPort": listens}]
        asked = {
            kind: container[f"{kind}Probe"]["httpGet"]
            for kind in ("startup", "readiness", "liveness")
        }
        assert {probe["path"] for probe in asked.values()} <= paths
        assert {probe["port"] for probe in asked.values()} == {"http"}
        # Whoever cannot work gets no work; only who is dead is killed.
        assert asked["readiness"]["path"] == "/readyz"
        assert asked["liveness"]["path"] == "/healthz"
        assert cluster.named("Deployment", pod.owner)["spec"]["template"]["metadata"][
            "annotations"
        ]["prometheus.io/port"] == str(listens)


def test_the_schema_comes_before_the_processes_and_the_roles_before_the_schema(
    cluster: Cluster,
) -> None:
    for pod in (*cluster.running("api"), *cluster.running("worker")):
        [first] = pod.spec["initContainers"]
        assert first["args"] == ["python", "-m", "shared.schema"]
        assert first["image"] == main(pod)["image"]
    for pod in cluster.running("migrations"):
        [first] = pod.spec["initContainers"]
        assert first["args"] == ["python", "-m", "shared.provisioning", "own"]
        assert pod.spec["restartPolicy"] == "OnFailure"


def test_who_is_told_to_stop_has_the_time_to_finish(cluster: Cluster) -> None:
    [graceful] = re.findall(r"--timeout-graceful-shutdown (\d+)", DOCKERFILE)
    [streams] = re.findall(r"worker_shutdown_timeout (\d+)s;", TEMPLATE.read_text())
    needs = {"api": int(graceful), "worker": worker._LIMIT, "gateway": int(streams)}
    for process, seconds in needs.items():
        for pod in cluster.running(process):
            pause = main(pod).get("lifecycle", {}).get("preStop", {}).get("exec", {})
            before = int(pause["command"][1]) if pause else 0
            values = environment(cluster, main(pod), SECRETS) if process == "api" else {}
            after = float(values.get("STOP_DELAY_SECONDS", "0"))
            assert pod.spec["terminationGracePeriodSeconds"] > before + after + seconds, pod
            # Requests keep coming until whoever sends them has heard.
            assert bool(before) is (process != "worker")


def test_a_rollout_never_takes_the_last_copy(cluster: Cluster) -> None:
    for process in ("api", "worker", "gateway"):
        for pod in cluster.running(process):
            strategy = cluster.named("Deployment", pod.owner)["spec"]["strategy"]
            assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_a_database_has_more_connections_than_all_its_pods_may_open(cluster: Cluster) -> None:
    most = {
        entry["spec"]["scaleTargetRef"]["name"]: entry["spec"].get("maxReplicas")
        or entry["spec"]["maxReplicaCount"]
        for entry in cluster.of("HorizontalPodAutoscaler", "ScaledObject")
    }
    for database in cluster.of("Cluster"):
        name = database["spec"]["inheritedMetadata"]["labels"]["service"]
        wanted = 0
        for pod in (*cluster.running("api", name), *cluster.running("worker", name)):
            deployment = cluster.named("Deployment", pod.owner)
            copies = most.get(pod.owner) or deployment["spec"]["replicas"]
            pool = int(environment(cluster, main(pod), SECRETS)["DATABASE_POOL_SIZE"])
            # One more copy during a rollout; a pool for SQL, one for the ORM, and a few more.
            wanted += (copies + 1) * (2 * pool + 3)

        allowed = int(database["spec"]["postgresql"]["parameters"]["max_connections"])
        assert wanted + 20 <= allowed, name


def test_workers_are_scaled_by_all_queues_of_their_service(cluster: Cluster) -> None:
    queues = {
        entry["spec"]["scaleTargetRef"]["name"]: {
            trigger["metadata"]["queueName"] for trigger in entry["spec"]["triggers"]
        }
        for entry in cluster.of("ScaledObject")
    }

    if cluster.overlay != "keda":
        assert queues == {}
        return
    assert set().union(*queues.values()) == set(LISTENERS)
    for service in SERVICES:
        names = queues[f"{service.name}-worker"]
        assert all(re.fullmatch(f"{service.name}(-[a-z]+)?", name) for name in names)


def test_the_gateway_fills_in_its_template_and_finds_the_services(cluster: Cluster) -> None:
    [pod] = cluster.running("gateway")
    values: dict[str, Any] = environment(cluster, main(pod), SECRETS)
    passed_on = {name for name in values if re.search(values["NGINX_ENVSUBST_FILTER"], name)}

    assert passed_on == set(re.findall(r"\$\{([A-Z_]+)\}", TEMPLATE.read_text()))
    for service in SERVICES:
        address = values[f"{service.package.upper()}_ADDRESS"]
        found = re.fullmatch(
            r"([\w-]+)\.metadata\.namespace\.svc\.cluster\.local:8000 resolve", address
        )
        assert found, address
        headless = cluster.named("Service", found[1])
        assert headless["spec"]["clusterIP"] == "None"
        assert headless["spec"]["selector"]["service"] == service.name
    assert main(pod)["ports"][0]["containerPort"] == int(values["GATEWAY_LISTEN"].split(":")[1])


def test_services_find_each_other(cluster: Cluster) -> None:
    [pod] = cluster.running("api", "reservations")
    values = environment(cluster, main(pod), SECRETS)
    for callee in ("availability", "bookings"):
        url = urlsplit(values[f"{callee.upper()}_URL"])
        service = cluster.named("Service", str(url.hostname))
        assert service["spec"]["selector"] == {"service": callee, "process": "api"}
        assert [entry["port"] for entry in service["spec"]["ports"]] == [url.port]
