"""The variables that every service reads; a service adds its own in a subclass."""

from typing import Literal

from pydantic import Field, HttpUrl, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEVELOPMENT_ISSUER = "medic-development"


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

    worker_port: int | None = None
    """Where a worker serves its health and metrics; none when not set."""
    worker_host: str = "127.0.0.1"

    @field_validator("service_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 32:
            raise ValueError("needs at least 32 characters")
        return value

    @property
    def public_origin(self) -> str:
        """The gateway's address without a trailing slash."""
        return str(self.public_url).rstrip("/")
