"""The fields that we use of what operators add to Kubernetes; any other is a mistake."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Quantity = Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?(m|Ki|Mi|Gi|Ti)?$")]
# A number in quotes: these maps hold text.
NumberAsText = Annotated[str, StringConstraints(pattern=r"^\d+$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Metadata(Strict):
    name: Name
    namespace: Name
    labels: dict[str, str] = {}


class Named(Strict):
    name: Name


class SecretKey(Strict):
    name: Name
    key: str


class Resources(Strict):
    requests: dict[Literal["cpu", "memory"], Quantity]
    limits: dict[Literal["cpu", "memory"], Quantity]


# --- CloudNativePG 1.26 and later, with its Barman Cloud plugin ----------------------------------
class InitDb(Strict):
    encoding: Literal["UTF8"]
    data_checksums: Literal[True]
    post_init_template_sql: list[str] = Field(alias="postInitTemplateSQL")


class Bootstrap(Strict):
    initdb: InitDb


class Synchronous(Strict):
    method: Literal["any", "first"]
    number: int = Field(ge=1)
    data_durability: Literal["required", "preferred"]


class PostgresSettings(Strict):
    parameters: dict[str, str]
    synchronous: Synchronous


class Volume(Strict):
    size: Quantity


class ClusterAffinity(Strict):
    enable_pod_anti_affinity: bool
    topology_key: str
    pod_anti_affinity_type: Literal["preferred", "required"]


class PluginParameters(Strict):
    barman_object_name: Name


class Plugin(Strict):
    name: Literal["barman-cloud.cloudnative-pg.io"]
    is_wal_archiver: bool = Field(alias="isWALArchiver")
    parameters: PluginParameters


class InheritedMetadata(Strict):
    labels: dict[str, str]


class ClusterSpec(Strict):
    instances: int = Field(ge=3)
    image_name: str
    inherited_metadata: InheritedMetadata
    enable_superuser_access: Literal[True]
    bootstrap: Bootstrap
    postgresql: PostgresSettings
    storage: Volume
    wal_storage: Volume
    resources: Resources
    affinity: ClusterAffinity
    plugins: list[Plugin]


class PluginName(Strict):
    name: Literal["barman-cloud.cloudnative-pg.io"]


class ScheduledBackupSpec(Strict):
    # Six fields, seconds first.
    schedule: Annotated[str, StringConstraints(pattern=r"^(\S+ ){5}\S+$")]
    immediate: bool
    backup_owner_reference: Literal["none", "self", "cluster"]
    method: Literal["plugin"]
    plugin_configuration: PluginName
    cluster: Named


class S3Credentials(Strict):
    access_key_id: SecretKey
    secret_access_key: SecretKey


class Compression(Strict):
    compression: Literal["gzip"]


class BarmanConfiguration(Strict):
    destination_path: Annotated[str, StringConstraints(pattern="^s3://")]
    endpoint_url: Annotated[str, StringConstraints(pattern="^https://")] = Field(
        alias="endpointURL"
    )
    s3_credentials: S3Credentials
    wal: Compression
    data: Compression


class ObjectStoreSpec(Strict):
    retention_policy: Annotated[str, StringConstraints(pattern=r"^\d+[dwm]$")]
    configuration: BarmanConfiguration


# --- RabbitMQ cluster operator 2 -----------------------------------------------------------------
class Persistence(Strict):
    storage: Quantity


class RabbitSettings(Strict):
    additional_config: str


class StatefulSetOverride(Strict):
    spec: dict[Literal["template"], dict[str, Any]]


class Override(Strict):
    stateful_set: StatefulSetOverride


class RabbitmqClusterSpec(Strict):
    replicas: Literal[3, 5, 7]
    image: str
    termination_grace_period_seconds: int
    persistence: Persistence
    resources: Resources
    rabbitmq: RabbitSettings
    affinity: dict[Literal["podAntiAffinity"], dict[str, Any]]
    override: Override


# --- KEDA 2 --------------------------------------------------------------------------------------
class QueueMetadata(Strict):
    queue_name: str
    mode: Literal["QueueLength"]
    value: NumberAsText
    activation_value: NumberAsText
    protocol: Literal["http"]
    host: Annotated[str, StringConstraints(pattern=r"^http://[^@]+:15672/$")]
    vhost_name: str


class Trigger(Strict):
    type: Literal["rabbitmq"]
    metadata: QueueMetadata
    authentication_ref: Named


class Fallback(Strict):
    failure_threshold: int = Field(ge=1)
    replicas: int = Field(ge=1)


class ScaledObjectSpec(Strict):
    scale_target_ref: Named
    min_replica_count: int = Field(ge=1)
    max_replica_count: int = Field(ge=1)
    polling_interval: int = Field(ge=1)
    cooldown_period: int = Field(ge=0)
    fallback: Fallback
    triggers: list[Trigger]


class SecretParameter(Strict):
    parameter: Literal["username", "password"]
    name: Name
    key: str


class TriggerAuthenticationSpec(Strict):
    secret_target_ref: list[SecretParameter]


# --- Gateway API 1 -------------------------------------------------------------------------------
class Parent(Strict):
    name: Name
    namespace: Name
    section_name: Name


class PathMatch(Strict):
    type: Literal["PathPrefix", "Exact"]
    value: Annotated[str, StringConstraints(pattern="^/")]


class RouteMatch(Strict):
    path: PathMatch


class Backend(Strict):
    name: Name
    port: int


class RouteTimeouts(Strict):
    request: Annotated[str, StringConstraints(pattern=r"^\d+(s|m|h)$")]


class RouteRule(Strict):
    matches: list[RouteMatch]
    timeouts: RouteTimeouts
    backend_refs: list[Backend]


class HttpRouteSpec(Strict):
    parent_refs: list[Parent]
    hostnames: list[str]
    rules: list[RouteRule]


# --- Prometheus operator 0.70 and later ----------------------------------------------------------
Duration = Annotated[str, StringConstraints(pattern=r"^\d+(s|m|h|d)$")]


class LabelRequirement(Strict):
    key: str
    operator: Literal["In"]
    values: list[str]


class PodSelector(Strict):
    match_expressions: list[LabelRequirement]


class PodMetricsEndpoint(Strict):
    port: str
    path: Literal["/metrics"]
    interval: Duration


class PodMonitorSpec(Strict):
    selector: PodSelector
    job_label: str
    pod_target_labels: list[str]
    pod_metrics_endpoints: list[PodMetricsEndpoint]


class Rule(Strict):
    expr: str
    record: str | None = None
    alert: str | None = None
    for_: Duration | None = Field(default=None, alias="for")
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class RuleGroup(Strict):
    name: Name
    rules: list[Rule]


class PrometheusRuleSpec(Strict):
    groups: list[RuleGroup]


SPECS: dict[tuple[str, str], type[Strict]] = {
    ("postgresql.cnpg.io/v1", "Cluster"): ClusterSpec,
    ("postgresql.cnpg.io/v1", "ScheduledBackup"): ScheduledBackupSpec,
    ("barmancloud.cnpg.io/v1", "ObjectStore"): ObjectStoreSpec,
    ("rabbitmq.com/v1beta1", "RabbitmqCluster"): RabbitmqClusterSpec,
    ("keda.sh/v1alpha1", "ScaledObject"): ScaledObjectSpec,
    ("keda.sh/v1alpha1", "TriggerAuthentication"): TriggerAuthenticationSpec,
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): HttpRouteSpec,
    ("monitoring.coreos.com/v1", "PodMonitor"): PodMonitorSpec,
    ("monitoring.coreos.com/v1", "PrometheusRule"): PrometheusRuleSpec,
}


def validate(manifest: dict[str, Any]) -> None:
    """Raises when a field is unknown, missing or not of its type."""
    kind = manifest["apiVersion"], manifest["kind"]
    assert set(manifest) == {"apiVersion", "kind", "metadata", "spec"}
    Metadata.model_validate(manifest["metadata"])
    SPECS[kind].model_validate(manifest["spec"])
