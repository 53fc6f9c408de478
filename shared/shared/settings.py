"""The variables that every service reads; a service adds its own in a subclass."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    HttpUrl,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared.environment import Environment

DEVELOPMENT_ISSUER = "medic-development"
# How every secret begins that stands in this repository; the second is the first in base64.
DEVELOPMENT_ONLY = ("for-development-only", "Zm9yLWRldmVsb3BtZW50LW9ubHk")

_Url = Annotated[str | None, Field(pattern="^https?://[^/?#\\s]+[^?#\\s]*$", repr=False)]


class ServiceSettings(BaseSettings):
    """Read once from the environment when a process starts; a wrong or missing value stops it."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    environment: Literal["development", "production"] = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    public_url: HttpUrl = HttpUrl("http://localhost:8080")

    database_url: str = Field(repr=False)
    database_pool_size: int = Field(default=10, ge=1, le=100)
    amqp_url: str = Field(repr=False)

    auth_issuer: str = Field(min_length=1)
    auth_audience: str = Field(min_length=1)
    auth_jwks: str = Field(min_length=1)
    """Path of a JWKS file, or the https URL of one."""
    auth_role_claim: str = "role"
    service_secret: SecretStr
    """Signs the short-lived tokens with which services call each other."""

    stop_delay_seconds: float = Field(default=0, ge=0, le=60)
    """How long an API that was told to stop goes on answering; ``/readyz`` says no at once."""

    worker_port: int | None = None
    """Where a worker serves its health and metrics; none when not set."""
    worker_host: str = "127.0.0.1"

    # Traces, by OpenTelemetry's own names (docs/tracing.md); an empty value is one that is not set.
    otel_exporter_otlp_endpoint: _Url = None
    """The collector, over OTLP/HTTP; without it nothing is recorded."""
    otel_exporter_otlp_traces_endpoint: _Url = None
    """The whole address for traces, where it is not ``/v1/traces`` below the collector's."""
    otel_traces_sampler: Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] = "parentbased_traceidratio"
    otel_traces_sampler_arg: float = Field(default=0.1, ge=0, le=1)
    otel_service_name: str | None = None
    otel_sdk_disabled: bool = False

    @field_validator(
        "otel_exporter_otlp_endpoint",
        "otel_exporter_otlp_traces_endpoint",
        "otel_traces_sampler",
        "otel_traces_sampler_arg",
        "otel_service_name",
        "otel_sdk_disabled",
        mode="before",
    )
    @classmethod
    def _set_or_not(cls, value: Any, info: ValidationInfo) -> Any:
        return cls.model_fields[str(info.field_name)].default if value == "" else value

    @field_validator("service_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 32:
            raise ValueError("needs at least 32 characters")
        return value

    @model_validator(mode="after")
    def _fit_for_production(self) -> Self:
        if self.environment == "production":
            for name in type(self).model_fields:
                value = getattr(self, name)
                text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
                if any(secret in text for secret in DEVELOPMENT_ONLY):
                    raise ValueError(f"{name.upper()} holds a secret that everybody knows")
                if name.endswith("_opened_hosts") and text:
                    raise ValueError(f"{name.upper()} is for development")
            if self.public_url.scheme != "https":
                raise ValueError("PUBLIC_URL must be https in production")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _FromEnvironment(settings_cls)

    @property
    def public_origin(self) -> str:
        """The gateway's address without a trailing slash."""
        return str(self.public_url).rstrip("/")

    @property
    def traces_url(self) -> str | None:
        """Where spans are sent; None when they are not."""
        if self.otel_sdk_disabled:
            return None
        if self.otel_exporter_otlp_traces_endpoint is not None:
            return self.otel_exporter_otlp_traces_endpoint
        collector = self.otel_exporter_otlp_endpoint
        return collector and f"{collector.rstrip('/')}/v1/traces"


class _FromEnvironment(PydanticBaseSettingsSource):
    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self._environment = Environment()

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._environment.get(field_name.upper()), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}
