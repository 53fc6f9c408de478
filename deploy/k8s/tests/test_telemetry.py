"""The component that switches traces on: every process is told where, and may go there."""

import kubernetes_validate
import pytest

from local.tests.settings_read import settings_class

from .conftest import Render
from .manifests import Cluster, environment
from .test_processes import SECRETS, main, service_of


@pytest.fixture(scope="module")
def traced(rendered: Render) -> Cluster:
    return rendered("prod", component="telemetry")


def test_every_process_is_told_where_its_spans_go(traced: Cluster) -> None:
    pods = [*traced.running("api"), *traced.running("worker")]

    assert len(pods) == 10
    for pod in pods:
        values = environment(traced, main(pod), SECRETS)
        fields = settings_class(service_of(pod)).model_fields
        given = {name.lower(): str(value) for name, value in values.items()}
        settings = settings_class(service_of(pod)).model_validate(
            {name: value for name, value in given.items() if name in fields}
        )
        assert settings.traces_url == "http://otel-collector.observability:4318/v1/traces"


def test_the_way_to_the_collector_is_open_and_no_other(traced: Cluster) -> None:
    [policy] = [
        each for each in traced.of("NetworkPolicy") if "collector" in each["metadata"]["name"]
    ]

    kubernetes_validate.validate(policy, "1.31", strict=True)
    assert policy["metadata"]["namespace"] == "medic"
    [egress] = policy["spec"]["egress"]
    assert egress["ports"] == [{"port": 4318}]


def test_without_it_nobody_is_told_anything(cluster: Cluster) -> None:
    for pod in (*cluster.running("api"), *cluster.running("worker")):
        assert not [n for n in environment(cluster, main(pod), SECRETS) if n.startswith("OTEL")]
